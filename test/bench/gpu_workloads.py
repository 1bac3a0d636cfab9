"""The GPU workloads of gpu-workloads.ts in PyTorch, float32 without TF32; prints one JSON line each. Usage: python3 gpu_workloads.py [steps]
The detectors' training steps are in gpu_detectors.py."""
import json
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.benchmark = True
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 100
DEVICE = 'cuda'


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.a = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.b = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x):
        return F.relu(self.b(F.relu(self.a(x))) + (self.shortcut(x) if self.shortcut else x))


class Layer(nn.Module):
    def __init__(self, width, heads, feed_forward, decoder):
        super().__init__()
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.co_attention = nn.MultiheadAttention(width, heads, batch_first=True) if decoder else None
        self.feed = nn.Sequential(nn.Linear(width, feed_forward), nn.ReLU(), nn.Linear(feed_forward, width))
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3 if decoder else 2)])


class Detr(nn.Module):
    def __init__(self, channels=(32, 64, 128), width=128, layers=3, heads=4, feed_forward=256, queries=25, classes=21, tokens=64):
        super().__init__()
        body, inputs = [nn.Conv2d(3, channels[0], 7, 2, 3, bias=False), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], channels[0]
        for i, c in enumerate(channels):
            body += [Block(inputs, c, 2 if i else 1), Block(c, c, 1)]
            inputs = c
        self.body = nn.Sequential(*body, nn.Conv2d(inputs, width, 1, bias=False))
        self.position = nn.Parameter(torch.randn(1, tokens, width))
        self.encoder = nn.ModuleList([Layer(width, heads, feed_forward, False) for _ in range(layers)])
        self.decoder = nn.ModuleList([Layer(width, heads, feed_forward, True) for _ in range(layers)])
        self.queries = nn.Parameter(torch.randn(queries, width))
        self.classes = nn.Linear(width, classes)
        self.boxes = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4))

    def forward(self, x):
        m = self.body(x).flatten(2).transpose(1, 2)
        for layer in self.encoder:
            q = m + self.position
            m = layer.norms[0](m + layer.self_attention(q, q, m, need_weights=False)[0])
            m = layer.norms[1](m + layer.feed(m))
        keys, queries = m + self.position, self.queries.expand(x.shape[0], -1, -1)
        z = torch.zeros_like(queries)
        for layer in self.decoder:
            q = z + queries
            z = layer.norms[0](z + layer.self_attention(q, q, z, need_weights=False)[0])
            z = layer.norms[1](z + layer.co_attention(z + queries, keys, m, need_weights=False)[0])
            z = layer.norms[2](z + layer.feed(z))
        return self.classes(z), self.boxes(z).sigmoid()


def synchronized(f, times):
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(times):
        f()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / times * 1e3


def warm(f):
    """An idle GPU lowers its clock: half a second of work before anything is measured."""
    started = time.perf_counter()
    while time.perf_counter() - started < 0.5:
        synchronized(f, 3)


def median_of_rounds(f, times, rounds=5):
    return statistics.median(synchronized(f, times) for _ in range(rounds))


def graph_of(f):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(8):
            f()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        f()
    return graph


def report(**row):
    print(json.dumps({'engine': f'PyTorch {torch.__version__}', 'device': torch.cuda.get_device_name(), **row}), flush=True)


def detr():
    torch.manual_seed(0)
    model = Detr().to(DEVICE)
    images, classes, boxes = torch.randn(16, 3, 128, 128, device=DEVICE), torch.randint(0, 21, (16, 25), device=DEVICE), torch.rand(16, 25, 4, device=DEVICE)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, capturable=True, foreach=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        logits, predicted = model(images)
        loss = F.cross_entropy(logits.flatten(0, 1), classes.flatten()) + 5 * F.l1_loss(predicted, boxes)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1, foreach=True)
        optimizer.step()

    graph = graph_of(step)
    report(workload='detr', parameters=sum(p.numel() for p in model.parameters()), eager=median_of_rounds(step, STEPS), graph=median_of_rounds(graph.replay, STEPS))


def measure_step(name, step, times, device=DEVICE):
    """A training step of gpu_detectors.py: eager with its matching on the CPU, captured with it on the GPU."""
    if device == 'cpu':
        losses = [step.eager().item() for _ in range(3)]
        print(json.dumps(dict(workload=name, parameters=step.trained(), losses=losses, matched_on_gpu=step.on_gpu().item())), flush=True)
        return
    graph = graph_of(step.on_gpu)
    losses = [step.eager().item() for _ in range(3)]
    warm(step.eager)
    eager = median_of_rounds(step.eager, max(2, times // 5))
    warm(graph.replay)
    report(workload=name, parameters=step.trained(), losses=losses, eager=eager, graph=median_of_rounds(graph.replay, times), gigabytes=torch.cuda.max_memory_allocated() / 1e9)


def operation(name, f, operations=None, bytes_=None):
    warm(f)
    once = synchronized(f, 3)
    milliseconds = median_of_rounds(f, max(1, min(50, round(200 / once))))
    report(workload=name, milliseconds=milliseconds, teraflops=operations and operations / milliseconds / 1e9, gigabytesPerSecond=bytes_ and bytes_ / milliseconds / 1e6)


class FakeQuantize(torch.autograd.Function):
    """LSQ+ of src/quantizer/fake-quantize.ts, as released code writes it."""

    @staticmethod
    def forward(x, scale, offset, lowest, highest):
        return torch.round(torch.clamp((x - offset) / scale, lowest, highest)) * scale + offset

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, scale, offset, ctx.lowest, ctx.highest = inputs
        ctx.save_for_backward(x, scale, offset)

    @staticmethod
    def backward(ctx, dy):
        x, scale, offset = ctx.saved_tensors
        v = (x - offset) / scale
        inside = ((v > ctx.lowest) & (v < ctx.highest)).float()
        dx = dy * inside
        slope = torch.round(torch.clamp(v, ctx.lowest, ctx.highest)) - inside * v
        g = (x.numel() * ctx.highest) ** -0.5
        return dx, (dy * slope).sum().reshape(1) * g, (dy - dx).sum().reshape(1) * g, None, None


if __name__ == '__main__':
    detr()
    n = 4096
    a, b = torch.rand(n, n, device=DEVICE), torch.rand(n, n, device=DEVICE)
    operation('matrix product 4096', lambda: a @ b, 2 * n ** 3)
    x, w = torch.rand(16, 128, 64, 64, device=DEVICE), torch.rand(128, 128, 3, 3, device=DEVICE)
    dy = torch.rand(16, 128, 64, 64, device=DEVICE)
    cost = 2 * 16 * 64 * 64 * 9 * 128 * 128
    backward = torch.ops.aten.convolution_backward
    operation('convolution 3x3, 16x64x64x128', lambda: F.conv2d(x, w, padding=1), cost)
    operation('its input gradient', lambda: backward(dy, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, False, False]), cost)
    operation('its filter gradient', lambda: backward(dy, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False]), cost)
    elements = 2 ** 24
    x, dy = torch.rand(elements, device=DEVICE, requires_grad=True), torch.rand(elements, device=DEVICE)
    scale, offset = torch.full((1,), 0.1, device=DEVICE, requires_grad=True), torch.zeros(1, device=DEVICE, requires_grad=True)
    operation('fake-quantization of 64 MB, forward and backward', lambda: torch.autograd.grad(FakeQuantize.apply(x, scale, offset, 0, 15), (x, scale, offset), dy), bytes_=4 * elements * 4)
    x, dy = torch.rand(65536, 256, device=DEVICE, requires_grad=True), torch.rand(65536, 256, device=DEVICE)
    weight, bias = torch.ones(256, device=DEVICE, requires_grad=True), torch.zeros(256, device=DEVICE, requires_grad=True)
    operation('layer norm of 65536x256, forward and backward', lambda: torch.autograd.grad(F.layer_norm(x, (256,), weight, bias), (x, weight, bias), dy), bytes_=4 * 65536 * 256 * 4)
    x = torch.rand(2 ** 26, device=DEVICE)
    y = torch.empty_like(x)
    operation('copy of 256 MB', lambda: y.copy_(x), bytes_=2 * 2 ** 28)
