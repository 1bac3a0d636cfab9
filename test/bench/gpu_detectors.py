"""The detectors of gpu-detectors.ts in PyTorch, float32 without TF32: whole training steps, eager and as a CUDA graph.

The eager step matches as DETR does, with scipy for each image on the CPU. A CUDA graph must stay on the GPU: it matches with the exact batched
algorithm of test/fixtures/detr_reference.py in torch operations (six boxes an image at most), the rest being the same. Neither has dropout.

Usage: python3 gpu_detectors.py [--device cuda] [--scale gpu] [--batch 16] [--only detector ...]     times, one JSON line a workload
       python3 gpu_detectors.py --device cpu --check DIR                                             losses from the weights and the batch in DIR
"""
import argparse
import json
import math
import os
import struct
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fixtures'))
from detr_reference import DETR, Joiner, MLP, SETTINGS, EncoderLayer, DecoderLayer, Stack, giou, match_batched, set_criterion, sine_positions, xyxy  # noqa: E402

TEACHER_BACKBONES = {
    'smoke': dict(stem=8, widths=[16, 16, 32], blocks=[1, 1, 1], strides=[2, 2, 2]),
    'minutes': dict(stem=24, widths=[32, 64, 128], blocks=[2, 2, 2], strides=[1, 2, 2]),
    'gpu': dict(stem=32, widths=[64, 128, 256], blocks=[2, 3, 3], strides=[2, 2, 2]),
}
OBJECTS = 6


# ------------------------------------------------------------------ quantizers: LSQ+, as released code writes them

class FakeQuantizeActivation(torch.autograd.Function):
    """alpha round(clip((x - z) / alpha)) + z; alpha and z have one element, or one a head."""

    @staticmethod
    def forward(ctx, x, scale, offset, lowest, highest, factor):
        ctx.save_for_backward(x, scale, offset)
        ctx.range = lowest, highest, factor
        return torch.round(((x - offset) / scale).clamp(lowest, highest)) * scale + offset

    @staticmethod
    def backward(ctx, dy):
        x, scale, offset = ctx.saved_tensors
        lowest, highest, factor = ctx.range
        v = (x - offset) / scale
        inside = (v > lowest) & (v < highest)
        slope = torch.where(inside, torch.round(v) - v, v.clamp(lowest, highest))
        dx = dy * inside
        return dx, (dy * slope).sum_to_size(scale.shape) * factor, (dy - dx).sum_to_size(offset.shape) * factor, None, None, None


class FakeQuantizeWeight(torch.autograd.Function):
    """alpha round(clip(w / alpha)), alpha for each output channel."""

    @staticmethod
    def forward(ctx, w, scale, lowest, highest, factor):
        ctx.save_for_backward(w, scale)
        ctx.range = lowest, highest, factor
        return torch.round((w / scale).clamp(lowest, highest)) * scale

    @staticmethod
    def backward(ctx, dy):
        w, scale = ctx.saved_tensors
        lowest, highest, factor = ctx.range
        v = w / scale
        inside = (v > lowest) & (v < highest)
        slope = torch.where(inside, torch.round(v) - v, v.clamp(lowest, highest))
        return dy * inside, (dy * slope).sum_to_size(scale.shape) * factor, None, None, None


def levels(bits):
    return -2 ** (bits - 1), 2 ** (bits - 1) - 1


class ActivationQuantizer(nn.Module):
    def __init__(self, bits, heads=1):
        super().__init__()
        self.range = levels(bits)
        self.scale, self.offset = nn.Parameter(torch.full((heads,), 0.1)), nn.Parameter(torch.zeros(heads))

    def forward(self, x, count=None):
        shape = (1, -1, 1, 1) if len(self.scale) > 1 else (1,)
        lowest, highest = self.range
        return FakeQuantizeActivation.apply(x, self.scale.view(shape), self.offset.view(shape), lowest, highest, ((count or x.numel()) * highest) ** -0.5)


class WeightQuantizer(nn.Module):
    def __init__(self, bits, outputs):
        super().__init__()
        self.range = levels(bits)
        self.scale = nn.Parameter(torch.full((outputs,), 0.05))

    def forward(self, w):
        lowest, highest = self.range
        return FakeQuantizeWeight.apply(w, self.scale.view(-1, *[1] * (w.dim() - 1)), lowest, highest, (w.numel() * highest) ** -0.5)


class QuantizedConv2d(nn.Conv2d):
    """The border is the quantized zero: padded first, quantized then."""

    def __init__(self, conv, bits):
        super().__init__(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, bias=False)
        self.weight = conv.weight
        self.weight_quantizer, self.input_quantizer = WeightQuantizer(bits, conv.out_channels), ActivationQuantizer(bits)

    def forward(self, x):
        bordered = F.pad(x, [self.padding[0]] * 4) if self.padding[0] else x
        return F.conv2d(self.input_quantizer(bordered, x.numel()), self.weight_quantizer(self.weight), stride=self.stride)


class QuantizedLinear(nn.Linear):
    def __init__(self, linear, bits):
        super().__init__(linear.in_features, linear.out_features)
        self.weight, self.bias = linear.weight, linear.bias
        self.weight_quantizer, self.input_quantizer = WeightQuantizer(bits, linear.out_features), ActivationQuantizer(bits)

    def forward(self, x):
        return F.linear(self.input_quantizer(x), self.weight_quantizer(self.weight), self.bias)


class Projection(nn.Module):
    """The quantizers of a third of the packed projection."""

    def __init__(self, bits, width):
        super().__init__()
        self.weight_quantizer, self.input_quantizer = WeightQuantizer(bits, width), ActivationQuantizer(bits)

    def forward(self, x, weight, bias):
        return F.linear(self.input_quantizer(x), self.weight_quantizer(weight), bias)


class Alignment(nn.Module):
    """DA, Eq. 2.32: a normalization over the head's width."""

    def __init__(self, width):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, q):
        return F.layer_norm(q, q.shape[-1:], self.gamma, self.beta, 1e-5)


class Attention(nn.Module):
    """torch.nn.MultiheadAttention's weights, with the features before the output projection (D of Eq. 2.26) in reach: `self.features`."""

    def __init__(self, module):
        super().__init__()
        self.in_proj_weight, self.in_proj_bias, self.out_proj = module.in_proj_weight, module.in_proj_bias, module.out_proj
        self.heads = module.num_heads

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def project(self, query, key, value):
        return [self.split(F.linear(x, w, b)) for x, w, b in zip((query, key, value), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3))]

    def attend(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v)

    def forward(self, query, key, value, need_weights=False):
        self.features = self.attend(*self.project(query, key, value)).transpose(1, 2).flatten(2)
        return self.out_proj(self.features), None


class QuantizedAttention(Attention):
    """Eq. 2.25 and 2.26: every projection and all four operands quantized, q aligned before (DA)."""

    def __init__(self, module, bits, attention_bits, aligned):
        super().__init__(module)
        width = self.in_proj_weight.shape[1]
        self.out_proj = QuantizedLinear(self.out_proj, bits)
        self.q_proj, self.k_proj, self.v_proj = (Projection(bits, width) for _ in range(3))
        self.q_quantizer, self.k_quantizer, self.v_quantizer, self.a_quantizer = (ActivationQuantizer(attention_bits, self.heads) for _ in range(4))
        if aligned:
            self.q_alignment = Alignment(width // self.heads)

    def project(self, query, key, value):
        modules = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (self.split(m(x, w, b)) for m, x, w, b in zip(modules, (query, key, value), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)))
        return (self.q_alignment(q) if hasattr(self, 'q_alignment') else q), k, v

    def attend(self, q, k, v):
        a = torch.softmax((self.q_quantizer(q) * q.shape[-1] ** -0.5) @ self.k_quantizer(k).transpose(2, 3), -1)
        return self.a_quantizer(a) @ self.v_quantizer(v)


def decode(decoder, queries, memory, keys):
    """States of all decoder layers, normalized [L, B, Q, C]. Before the first co-attention nothing depends on the image: once for the batch, as src/models does."""
    z, states = torch.zeros_like(queries), []
    for layer in decoder.layers:
        placed = z + queries
        z = layer.norm1(z + layer.attend(layer.self_attn, placed, placed, z)).expand(len(memory), -1, -1)
        z = layer.norm2(z + layer.attend(layer.multihead_attn, z + queries, keys, memory))
        z = layer.norm3(z + layer.feed_forward(z))
        states.append(z)
    return decoder.norm(torch.stack(states))


class Detector(DETR):
    """The kit's DETR."""

    def forward(self, images):
        x = self.input_proj(self.backbone(images)).flatten(2).transpose(1, 2)
        for layer in self.transformer.encoder.layers:
            x = layer(x, self.positions)
        states = decode(self.transformer.decoder, self.query_embed.weight[None], x, x + self.positions)
        return self.class_embed(states), self.bbox_embed(states).sigmoid()

    def features(self):
        """D of each decoder layer in the last forward pass: [L, B, Q, C]."""
        return torch.stack([layer.multihead_attn.features for layer in self.transformer.decoder.layers])


def reachable(model):
    """Co-attention whose features can be read."""
    for layer in model.transformer.decoder.layers:
        layer.multihead_attn = Attention(layer.multihead_attn)
    return model


def quantized(model, bits=4, attention_bits=8):
    """The paper's placement: backbone and transformer, the first convolution at 8 bits; projection to the transformer and heads real-valued."""
    body = model.backbone[0].body
    convolutions = [(name, m) for name, m in body.named_modules() if isinstance(m, nn.Conv2d)]
    for name, m in convolutions:
        parent, _, child = name.rpartition('.')
        setattr(body.get_submodule(parent), child, QuantizedConv2d(m, 8 if name == 'conv1' else bits))
    for stack in (model.transformer.encoder, model.transformer.decoder):
        for layer in stack.layers:
            layer.linear1, layer.linear2 = QuantizedLinear(layer.linear1, bits), QuantizedLinear(layer.linear2, bits)
            layer.self_attn = QuantizedAttention(layer.self_attn, bits, attention_bits, False)
            if stack is model.transformer.decoder:
                layer.multihead_attn = QuantizedAttention(layer.multihead_attn, bits, attention_bits, True)
    return model


# ------------------------------------------------------------------ matching and losses

def match_as_detr(cost, valid):
    """[P, Q, G], [P, G] -> query of each target, -1 for padding: one copy to the CPU for each decoder layer, scipy for each image (HungarianMatcher)."""
    from scipy.optimize import linear_sum_assignment
    batch = match_as_detr.batch
    found = torch.full(valid.shape, -1)
    counts = valid[:batch].sum(1).long().tolist()
    for layer in range(len(cost) // batch):
        here = cost[layer * batch:(layer + 1) * batch].cpu()
        for b, count in enumerate(counts):  # boxes come first, padding behind them
            queries, boxes = linear_sum_assignment(here[b, :, :count])
            found[layer * batch + b, torch.as_tensor(boxes)] = torch.as_tensor(queries)
    return found.to(cost.device)


@torch.no_grad()
def foreground_query_matching(student, teacher, labels, targets, tau):
    """FQM, Eq. 2.33 to 2.35: which of the student's queries learn [B, Q], and the teacher's query of each [B, Q]."""
    overlap = giou(xyxy(targets)[:, :, None], xyxy(student)[:, None])
    kept = ((overlap > tau * overlap.amax(-1, keepdim=True)) & (labels >= 0)[..., None]).any(1).float()
    score = 2 * giou(xyxy(student)[:, :, None], xyxy(teacher)[:, None]) - 5 * (student[:, :, None] - teacher[:, None]).abs().sum(-1)
    return kept, score.argmax(-1)


def rectification_loss(student, teacher, kept, partner):
    """DRD, Eq. 2.36 and 2.37. student, teacher [L, B, Q, C]"""
    gathered = teacher.gather(2, partner[None, ..., None].expand_as(student))
    distance = ((student - gathered).square().sum(-1) + 1e-12).sqrt()
    return (distance * kept).sum() / (kept.sum().clamp(min=1) * len(student))


class Distilled:
    """Loss of a batch: L_GT, and lambda L_DRD where there is a teacher (Eq. 2.38)."""

    def __init__(self, model, teacher=None, tau=0.6, weight=2.5):
        self.model, self.teacher, self.tau, self.weight = model, teacher, tau, weight

    def __call__(self, batch, match):
        images, labels, targets = batch
        logits, boxes = self.model(images)
        loss, _, _ = set_criterion(logits, boxes, labels, targets, match)
        if self.teacher is None:
            return loss
        with torch.no_grad():
            _, taught = self.teacher(images)
            features = self.teacher.features()
        kept, partner = foreground_query_matching(boxes[-1], taught[-1], labels, targets, self.tau)
        return loss + self.weight * rectification_loss(self.model.features(), features, kept, partner)


# ------------------------------------------------------------------ DETR-R50

class FullSizeDetr(nn.Module):
    """DETR-R50 with torchvision's backbone: frozen batch normalization, stem and first stage; 25 x 34 tokens of an image of 800 x 1066."""

    def __init__(self, classes=20, queries=100, width=256, heads=8, hidden=2048, layers=6):
        super().__init__()
        from torchvision.models import resnet50
        from torchvision.ops import FrozenBatchNorm2d
        body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
        del body.fc, body.avgpool
        for name, p in body.named_parameters():
            p.requires_grad_(name.startswith(('layer2', 'layer3', 'layer4')))
        body.forward = lambda x: body.layer4(body.layer3(body.layer2(body.layer1(body.maxpool(body.relu(body.bn1(body.conv1(x))))))))
        self.backbone, self.input_proj = Joiner(body), nn.Conv2d(2048, width, 1)
        self.transformer = nn.Module()
        self.transformer.encoder = Stack([EncoderLayer(width, heads, hidden) for _ in range(layers)])
        self.transformer.decoder = Stack([DecoderLayer(width, heads, hidden) for _ in range(layers)], nn.LayerNorm(width))
        for p in self.transformer.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)
        self.query_embed, self.class_embed, self.bbox_embed = nn.Embedding(queries, width), nn.Linear(width, classes + 1), MLP([width, width, width, 4])
        self.positions = {}

    def forward(self, images):
        x = self.input_proj(self.backbone(images))
        size = tuple(x.shape[2:])
        if size not in self.positions:
            self.positions[size] = sine_positions(*size, x.shape[1]).to(x.device)
        positions, x = self.positions[size], x.flatten(2).transpose(1, 2)
        for layer in self.transformer.encoder.layers:
            x = layer(x, positions)
        states = decode(self.transformer.decoder, self.query_embed.weight[None], x, x + positions)
        return self.class_embed(states), self.bbox_embed(states).sigmoid()


# ------------------------------------------------------------------ steps

class Step:
    """Forward, matching, criterion, backward, clipping, AdamW on one batch."""

    def __init__(self, loss, batch, device, learning_rate=5e-4, weight_decay=1e-4, quantizer_factor=0.1, backbone_factor=1.0, fused=True):
        self.loss, self.batch = loss, batch
        named = [(n, p) for n, p in loss.model.named_parameters() if p.requires_grad]
        quantizers = [p for n, p in named if n.endswith(('_quantizer.scale', '_quantizer.offset'))]
        self.scales = [p for n, p in named if n.endswith('_quantizer.scale')]
        known = {id(p) for p in quantizers}
        backbone = [p for n, p in named if n.startswith('backbone.') and id(p) not in known]
        rest = [p for n, p in named if not n.startswith('backbone.') and id(p) not in known]
        groups = [dict(params=backbone, lr=learning_rate * backbone_factor, weight_decay=weight_decay), dict(params=rest, lr=learning_rate, weight_decay=weight_decay),
                  dict(params=quantizers, lr=learning_rate * quantizer_factor, weight_decay=0.0)]
        self.parameters = [p for _, p in named]
        cuda = device != 'cpu'
        self.optimizer = torch.optim.AdamW([g for g in groups if g['params']], fused=fused and cuda, capturable=cuda)

    def __call__(self, match):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.batch, match)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 0.1, foreach=True)
        self.optimizer.step()
        if self.scales:
            with torch.no_grad():
                torch._foreach_clamp_min_(self.scales, 1e-8)
        return loss

    def eager(self):
        match_as_detr.batch = len(self.batch[0])
        return self(match_as_detr)

    def on_gpu(self):
        return self(match_batched)

    def trained(self):
        return sum(p.numel() for p in self.parameters)


def random_batch(batch, height, width, classes, device):
    g = torch.Generator().manual_seed(2)
    labels = torch.randint(0, classes, (batch, OBJECTS), generator=g)
    counts = torch.randint(1, OBJECTS + 1, (batch, 1), generator=g)
    labels[torch.arange(OBJECTS)[None] >= counts] = -1
    size = 0.1 + 0.5 * torch.rand(batch, OBJECTS, 2, generator=g)
    centre = size / 2 + (1 - size) * torch.rand(batch, OBJECTS, 2, generator=g)
    return torch.randn(batch, 3, height, width, generator=g).to(device), labels.to(device), torch.cat([centre, size], -1).to(device)


def detector_step(scale, batch, device, distilled, data=None, weights=None):
    """A step of the kit's detector. `weights`: by name, the student's, and the teacher's behind `teacher.`"""
    torch.manual_seed(0)
    settings = SETTINGS[scale]
    model, teacher = Detector(settings), None
    if distilled:
        model = quantized(model)
        teacher = reachable(Detector({**settings, 'backbone': TEACHER_BACKBONES[scale]}))
    if weights is not None:
        load(model, {n: v for n, v in weights.items() if not n.startswith('teacher.')})
        if teacher is not None:
            load(teacher, {n[8:]: v for n, v in weights.items() if n.startswith('teacher.')})
    model = model.to(device).train()
    if teacher is not None:
        teacher = teacher.to(device).eval().requires_grad_(False)
    side = settings['imageSize']
    return Step(Distilled(model, teacher), data or random_batch(batch, side, side, settings['classes'], device), device)


def full_size_step(batch, device, height=800, width=1066, data=None, weights=None):
    torch.manual_seed(0)
    model = FullSizeDetr()
    if weights is not None:
        load(model, weights)
    return Step(Distilled(model.to(device)), data or random_batch(batch, height, width, 20, device), device, 1e-4, backbone_factor=0.1)


# ------------------------------------------------------------------ the same numbers as this kit's

def read_safetensors(path):
    with open(path, 'rb') as file:
        content = file.read()
    size = struct.unpack('<Q', content[:8])[0]
    header, types = json.loads(content[8:8 + size]), {'F32': torch.float32, 'I32': torch.int32}
    read = lambda e: torch.frombuffer(bytearray(content[8 + size + e['data_offsets'][0]:8 + size + e['data_offsets'][1]]), dtype=types[e['dtype']]).reshape(e['shape'])
    return {name: read(entry) for name, entry in header.items() if name != '__metadata__'}


def load(model, weights):
    """By name, kernels from HWIO to OIHW; every parameter and buffer must be there, and no other."""
    state = {n: v.permute(3, 2, 0, 1).contiguous() if v.dim() == 4 else v for n, v in weights.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [n for n in missing if not n.endswith('num_batches_tracked')]
    assert not missing and not unexpected, (missing, unexpected)


def check(folder, device, steps):
    """Losses of some steps from one set of weights on one batch."""
    with open(os.path.join(folder, 'check.json')) as file:
        settings = json.load(file)
    content = read_safetensors(os.path.join(folder, 'check.safetensors'))
    batch = content.pop('batch.images').permute(0, 3, 1, 2).contiguous().to(device), content.pop('batch.labels').long().to(device), content.pop('batch.boxes').to(device)
    if settings['model'] == 'detr-r50':
        step = full_size_step(len(batch[0]), device, data=batch, weights=content)
    else:
        step = detector_step(settings['scale'], len(batch[0]), device, settings['model'] == 'distilled', batch, content)
    print(json.dumps(dict(trained=step.trained(), losses=[step.eager().item() for _ in range(steps)])))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--scale', default='gpu', choices=list(SETTINGS))
    parser.add_argument('--batch', type=int, default=16)
    parser.add_argument('--image', type=int, nargs=2, default=[800, 1066])
    parser.add_argument('--images', type=int, default=4)
    parser.add_argument('--steps', type=int, default=100)
    parser.add_argument('--only', nargs='*')
    parser.add_argument('--check')
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    if options.check:
        return check(options.check, options.device, options.steps)
    from gpu_workloads import measure_step
    workloads = {
        'detector': (lambda: detector_step(options.scale, options.batch, options.device, False), options.steps),
        'detector 4-4-8, distilled': (lambda: detector_step(options.scale, options.batch, options.device, True), options.steps),
        'detr-r50': (lambda: full_size_step(options.images, options.device, *options.image), max(1, options.steps // 10)),
    }
    for name, (build, steps) in workloads.items():
        if not options.only or name in options.only:
            measure_step(name, build(), steps, options.device)


if __name__ == '__main__':
    main()
