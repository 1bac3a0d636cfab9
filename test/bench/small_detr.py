"""The workload of small-detr.ts in PyTorch: the same weights, the same batch, one SGD step. Prints one JSON line.

Usage: python3 small_detr.py [threads] [steps] [compile]
"""
import json, math, resource, sys, time
import torch, torch.nn.functional as F

threads, steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2, int(sys.argv[2]) if len(sys.argv) > 2 else 30
torch.set_num_threads(threads)
B, IMAGE, C, HEADS, FFN, Q, K, S = 8, 96, 96, 4, 256, 20, 11, 144
state = 1


def numbers(n):
    global state
    out = []
    for _ in range(n):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state / 4294967296 - 0.5)
    return torch.tensor(out, dtype=torch.float64)


P = {}


def fill(name, shape, scale):
    n = math.prod(shape)
    P[name] = (torch.ones(n, dtype=torch.float64) if scale == 'one' else scale * 2 * numbers(n)).reshape(shape).float()


def conv(n, k, ci, co):
    fill(n + '/w', [k, k, ci, co], math.sqrt(3 / (k * k * ci))); fill(n + '/g', [co], 'one'); fill(n + '/b', [co], 0)
    P[n + '/w'] = P[n + '/w'].permute(3, 2, 0, 1).contiguous()


def linear(n, i, o):
    fill(n + '/w', [i, o], math.sqrt(3 / i)); fill(n + '/b', [o], 0)
    P[n + '/w'] = P[n + '/w'].t().contiguous()


def norm(n):
    fill(n + '/g', [C], 'one'); fill(n + '/b', [C], 0)


def attention(n):
    for x in 'qkvo':
        linear(f'{n}/{x}', C, C)


STAGES = [(32, 32, 1), (32, 64, 2), (64, 128, 2)]
conv('stem', 3, 3, 32)
for i, (ci, co, s) in enumerate(STAGES):
    conv(f's{i}/c1', 3, ci, co); conv(f's{i}/c2', 3, co, co)
    if ci != co or s != 1:
        conv(f's{i}/p', 1, ci, co)
linear('inproj', 128, C); fill('pos', [1, S, C], 0.02); fill('query', [1, Q, C], 1)
for l in range(2):
    attention(f'e{l}/sa'); norm(f'e{l}/n1'); linear(f'e{l}/f1', C, FFN); linear(f'e{l}/f2', FFN, C); norm(f'e{l}/n2')
for l in range(2):
    attention(f'd{l}/sa'); norm(f'd{l}/n1'); attention(f'd{l}/ca'); norm(f'd{l}/n2'); linear(f'd{l}/f1', C, FFN); linear(f'd{l}/f2', FFN, C); norm(f'd{l}/n3')
linear('cls', C, K); linear('b1', C, C); linear('b2', C, C); linear('b3', C, 4)
images = (numbers(B * IMAGE * IMAGE * 3) * 2).reshape(B, IMAGE, IMAGE, 3).float().permute(0, 3, 1, 2).contiguous()
targets = torch.tensor([(i * 7) % K for i in range(B * Q)]).reshape(B, Q)
boxes = (numbers(B * Q * 4) + 0.5).reshape(B, Q, 4).float()
for p in P.values():
    p.requires_grad_(True)


def same(x, w, s):
    k, h = w.shape[2], x.shape[2]
    total = max(0, (math.ceil(h / s) - 1) * s + k - h)
    a = total // 2
    return F.conv2d(F.pad(x, (a, total - a, a, total - a)), w, stride=s) if total % 2 else F.conv2d(x, w, stride=s, padding=a)


def cv(x, n, s):
    return same(x, P[n + '/w'], s) * P[n + '/g'].view(1, -1, 1, 1) + P[n + '/b'].view(1, -1, 1, 1)


def fc(x, n):
    return F.linear(x, P[n + '/w'], P[n + '/b'])


def ln(x, n):
    return F.layer_norm(x, (C,), P[n + '/g'], P[n + '/b'])


def split(x):
    return x.view(B, -1, HEADS, C // HEADS).transpose(1, 2)


def attend(q, k, v, n):
    y = F.scaled_dot_product_attention(split(fc(q, n + '/q')), split(fc(k, n + '/k')), split(fc(v, n + '/v')))
    return fc(y.transpose(1, 2).reshape(B, -1, C), n + '/o')


def mlp(x, n):
    return fc(F.relu(fc(x, n + '/f1')), n + '/f2')


def loss_of():
    h = F.relu(cv(images, 'stem', 2))
    for i, (_, _, s) in enumerate(STAGES):
        y = cv(F.relu(cv(h, f's{i}/c1', s)), f's{i}/c2', 1)
        h = F.relu(y + (cv(h, f's{i}/p', s) if f's{i}/p/w' in P else h))
    t = fc(h.flatten(2).transpose(1, 2), 'inproj')
    for l in range(2):
        q = t + P['pos']
        t = ln(t + attend(q, q, t, f'e{l}/sa'), f'e{l}/n1')
        t = ln(t + mlp(t, f'e{l}'), f'e{l}/n2')
    memory, keys, query = t, t + P['pos'], P['query'].expand(B, -1, -1)
    z = torch.zeros_like(query)
    for l in range(2):
        q = z + query
        z = ln(z + attend(q, q, z, f'd{l}/sa'), f'd{l}/n1')
        z = ln(z + attend(z + query, keys, memory, f'd{l}/ca'), f'd{l}/n2')
        z = ln(z + mlp(z, f'd{l}'), f'd{l}/n3')
    logits = fc(z, 'cls')
    predicted = fc(F.relu(fc(F.relu(fc(z, 'b1')), 'b2')), 'b3').sigmoid()
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten()) + 5 * (predicted - boxes).abs().mean()


if len(sys.argv) > 3 and sys.argv[3] == 'compile':
    loss_of = torch.compile(loss_of)
optimizer = torch.optim.SGD(P.values(), lr=0.02)
times, losses = [], []
for i in range(steps + 2):
    t0 = time.perf_counter()
    loss = loss_of()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if i > 1:
        times.append((time.perf_counter() - t0) * 1000)
print(json.dumps({'engine': f'PyTorch {torch.__version__.split("+")[0]}', 'threads': threads, 'milliseconds': times, 'losses': losses[:5], 'peakMegabytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}))
