"""PyTorch's side of `npm run bench -- --predict`: torchvision's ResNet-50 with DETR's transformer from torch.nn, random weights, one image of 800 x
1066 pixels; prints one JSON line. Usage: predict.py <threads> <passes>

Needs torch and torchvision. Written with torch 2.15.0, torchvision 0.29.2.
"""
import json
import os
import resource
import sys
import time
BEGAN = time.time()
import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torchvision  # noqa: E402
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fixtures'))
from detr_reference import MLP, Transformer, sine_positions  # noqa: E402

threads, passes = int(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(threads)


class DetrR50(nn.Module):
    def __init__(self, width=256, queries=100, classes=91):
        super().__init__()
        resnet = torchvision.models.resnet50(norm_layer=torchvision.ops.FrozenBatchNorm2d)
        self.backbone = nn.Sequential(*list(resnet.children())[:-2])
        self.input_proj = nn.Conv2d(2048, width, 1)
        self.transformer = Transformer(width, 8, 2048, 6, 6)
        self.query_embed = nn.Embedding(queries, width)
        self.class_embed, self.bbox_embed = nn.Linear(width, classes + 1), MLP([width, width, width, 4])

    def forward(self, images):
        x = self.input_proj(self.backbone(images))
        positions = sine_positions(*x.shape[-2:], x.shape[1])
        states, _ = self.transformer(x.flatten(2).transpose(1, 2), positions, self.query_embed.weight[None].expand(len(x), -1, -1))
        return self.class_embed(states), self.bbox_embed(states).sigmoid()


model, images, seconds = DetrR50().eval(), torch.randn(1, 3, 800, 1066), []
start = time.time() - BEGAN
with torch.inference_mode():
    for i in range(passes + 1):
        began = time.perf_counter()
        model(images)
        if i > 0:
            seconds.append(time.perf_counter() - began)
print(json.dumps(dict(engine=f'PyTorch {torch.__version__.split("+")[0]}', startSeconds=start, seconds=seconds, peakMegabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)))
