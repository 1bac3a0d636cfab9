"""The same work in Python: Pillow, torchvision's transforms and torch's DataLoader.

python3 decoding.py FOLDER IMAGES BATCH WORKERS
prints one JSON line. Pixels stay bytes, as in decoding-child.ts; torch threads: one.
"""
import json
import os
import random
import sys
import time
import torch
import torchvision.transforms.functional as F
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

folder, images, batch, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(1)
files = sorted(os.path.join(folder, 'bench', name) for name in os.listdir(os.path.join(folder, 'bench')))
warm = 2 * batch


class Images(torch.utils.data.Dataset):
    def __len__(self):
        return images + warm

    def __getitem__(self, index):
        image = Image.open(files[index % len(files)]).convert('RGB')
        if random.random() < 0.5:
            image = F.hflip(image)
        w, h = image.size
        size = (800, int(800 * w / h)) if w >= h else (int(800 * h / w), 800)
        return pil_to_tensor(F.resize(image, size))


def padded(tensors):
    """nested_tensor_from_tensor_list of facebookresearch/detr, in bytes."""
    h, w = max(t.shape[1] for t in tensors), max(t.shape[2] for t in tensors)
    out = torch.zeros(len(tensors), 3, h, w, dtype=torch.uint8)
    mask = torch.ones(len(tensors), h, w, dtype=torch.bool)
    for image, o, m in zip(tensors, out, mask):
        o[:, :image.shape[1], :image.shape[2]].copy_(image)
        m[:image.shape[1], :image.shape[2]] = False
    return out, mask


torch.multiprocessing.set_sharing_strategy('file_system')
loader = torch.utils.data.DataLoader(Images(), batch_size=batch, num_workers=workers, collate_fn=padded, prefetch_factor=2 if workers else None)
total, seen, begun = 0, 0, None
for pixels, mask in loader:
    seen += len(pixels)
    if seen == warm:
        begun = time.perf_counter()
    elif seen > warm:
        total += int(pixels[0, 0, 0, 0])
print(json.dumps(dict(images=seen - warm, seconds=time.perf_counter() - begun, sum=total)))
