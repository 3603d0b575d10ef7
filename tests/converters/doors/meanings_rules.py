# SPDX-License-Identifier: Apache-2.0
"""Changes of the text of a PyTorch module, each of which gives it another meaning."""

from __future__ import annotations

from converters.doors.meanings import rules

__all__ = ["RULES", "STATES"]

RULES = rules(r"""
\[:, -1\]
    [:, 0] | [:, -2] | [:, 5] | [-1] | [:, -1:] | [:, :, -1] | .mean(1) | .sum(1)
(?<=\W)h\[-1\]
    h[0] | h[-2] | h.mean(0) | h.sum(0) | h.amax(0) | h | h.transpose(0, 1) | h.flip(0)[0] | h[1:]
    h.squeeze(0) | y[:, -1] | y[:, 0] | y.sum(1) | h.permute(1, 0, 2).flatten(1)[:, :6] | h[-1:]
    h.prod(0) | h[:, -1] | h[0, 1]
h\[-2\], h\[-1\]
    h[-1], h[-2] | h[0], h[0] | h[-2], h[-2] | y[:, -1], h[-1]
torch\.cat\(\(h\[-2\], h\[-1\]\), 1\)
    y[:, -1] | y[:, 0] | h.transpose(0, 1).flatten(1) | h.flatten(1)
    torch.cat((c[-2], c[-1]), 1) | torch.cat((c[0], h[1]), 1) | y.mean(1)
    torch.cat((y[:, -1, :6], y[:, 0, 6:]), 1) | h.view(-1, 12) | y.amax(1)
    torch.cat((y[:, 0, :6], y[:, -1, 6:]), 1) | y[:, :, [0, *range(11)]][:, -1]
dim=-1\)
    dim=1) | dim=0) | dim=-2)
\.mean\(1\)
    .mean(0) | .mean(2) | .sum(1) | .amax(1) | .amin(1) | .std(1) | .var(1) | .median(1).values
    .logsumexp(1) | .norm(dim=1) | [:, 0] | .sum(1) / 9 | .mean(1, keepdim=True) | .mean((0, 1))
    .sum(1) / y.shape[1] | [:, 2:].mean(1)
\.amax\(1\)
    .max(1).values | .max(0).values | .max(2).values | .cummax(1)[0]
\b(F\.relu|torch\.tanh|torch\.sigmoid|F\.silu|F\.elu)\(
    torch.tanh( | torch.sigmoid( | F.relu( | F.gelu( | F.silu( | F.elu( | F.softplus(
    F.hardsigmoid( | F.hardtanh( | F.leaky_relu( | F.relu6( | F.mish( | F.selu( | F.celu(
    F.logsigmoid( | F.softsign( | F.tanhshrink( | F.hardswish( | torch.sin( | torch.exp(
    torch.abs( | torch.square( | torch.sign( | torch.erf( | torch.round( | torch.neg(
    torch.reciprocal( | F.hardshrink( | torch.relu( | torch.floor( | torch.log1p(
nn\.ELU\(\)
    nn.ReLU() | nn.Tanh() | nn.GELU() | nn.LeakyReLU(0.2) | nn.ELU(0.5) | nn.Mish()
    nn.Softplus(2.0) | nn.Hardtanh(-0.5, 0.7) | nn.Threshold(0.1, 0.3) | nn.PReLU()
    nn.Softmax(-1) | nn.Softmax(0) | nn.GLU() | nn.Identity() | nn.Dropout(0.5)
nn\.LayerNorm\((\d+)\)
    nn.LayerNorm(\1, eps=0.1) | nn.RMSNorm(\1) | nn.RMSNorm(\1, eps=0.1) | nn.BatchNorm1d(\1)
    nn.GroupNorm(2, \1) | Scale(\1) | OwnNorm(\1) | nn.LayerNorm(\1, elementwise_affine=False)
    nn.LayerNorm(\1, bias=False) | nn.Identity() | nn.InstanceNorm1d(\1, affine=True)
    nn.Linear(\1, \1)
nn\.(BatchNorm1d|GroupNorm)\((?:\d, )?(\d+)\)
    nn.BatchNorm1d(\2, eps=0.1) | nn.BatchNorm1d(\2, track_running_stats=False)
    nn.BatchNorm1d(\2, affine=False) | nn.InstanceNorm1d(\2, affine=True) | nn.GroupNorm(2, \2)
    nn.GroupNorm(1, \2) | nn.GroupNorm(\2, \2)
    nn.InstanceNorm1d(\2, affine=True, track_running_stats=True) | nn.Identity()
    nn.GroupNorm(2, \2, eps=0.1) | nn.GroupNorm(2, \2, affine=False) | nn.LayerNorm(\2)
    nn.SyncBatchNorm(\2) | nn.BatchNorm1d(\2, momentum=None)
nn\.GRU\(
    nn.LSTM( | nn.RNN( | OwnGru(
nn\.LSTM\(
    nn.GRU( | nn.RNN(
nn\.RNN\(
    nn.GRU(
nonlinearity='relu'
    nonlinearity='tanh'
, batch_first=True
    (nothing) | , batch_first=True, bias=False
batch_first=True
    batch_first=True, bidirectional=True | dropout=0.5
num_layers=2
    num_layers=1 | num_layers=3 | num_layers=2, dropout=0.5
, bidirectional=True
    (nothing) | , bidirectional=True, proj_size=3
padding=1|dilation=2
    padding=0 | padding='same' | padding=1, padding_mode='circular' | padding=2
    padding=1, padding_mode='reflect' | padding=1, padding_mode='replicate' | padding=1, stride=2
    padding=2, dilation=2 | padding=1, bias=False | stride=2 | dilation=1 | dilation=2, bias=False
    dilation=3
nn\.Conv1d\((\d), (\d)
    nn.ConvTranspose1d(\1, \2 | nn.LazyConv1d(\2
\(4, 0\)\)
    (2, 2)) | (0, 4)) | (4, 0), value=1.0) | (4, 0), mode='replicate')
nn\.MaxPool1d\(2\)
    nn.AvgPool1d(2) | nn.MaxPool1d(3) | nn.MaxPool1d(2, 1) | nn.MaxPool1d(3, 2, 1)
    nn.MaxPool1d(2, ceil_mode=True) | nn.AvgPool1d(3, 1, 1) | nn.AvgPool1d(3, 2, 1)
    nn.AvgPool1d(3, 1, 1, count_include_pad=False) | nn.LPPool1d(2, 2)
    nn.MaxPool1d(3, 1, 1, dilation=1) | nn.MaxPool1d(2, 1, dilation=2) | nn.AdaptiveAvgPool1d(1)
    nn.AdaptiveMaxPool1d(4) | nn.Identity() | nn.AvgPool1d(2, ceil_mode=True)
    nn.Upsample(scale_factor=2)
\by \+(?= )
    y - | y * | 0.5 * y + | x - | y.flip(1) + | y.detach() + | y / | 2 ** y +
\bx \+(?= )
    x - | x * | x.flip(1) + | x[:, :1] + | x.mean(1, True) +
\(1 - g\)
    (1 + g) | (1 - g ** 2) | (1 - g) / (1 + g) | (g - 1) | g.flip(1)
self\.scale\b(?! =)
    F.softplus(self.scale) | self.scale.sum() | self.scale.softmax(0) | self.scale[0]
\.sum\(2\)
    .mean(2) | .amax(2) | .prod(2) | [:, :, 0] | .sum(3) | .std(2)
self\.start\.expand
    torch.tanh(self.start).expand | (2 * self.start).expand
x\[:, :, :4\], x\[:, :, 4:\]
    x[:, :, 4:], x[:, :, :4] | x[:, :, ::2], x[:, :, 1::2] | x.chunk(2, -1)
    x[:, :, 1:5], x[:, :, -4:] | x.view(*x.shape[:2], 4, 2).unbind(-1)
    x.view(*x.shape[:2], 2, 4).unbind(2) | x[:, :, :4], x.flip(2)[:, :, :4]
    x[:, :, :4], x.flip(1)[:, :, :4] | x[:, :, :4], x[:, :1, 4:] | x.tensor_split(2, 2)
F\.hardtanh\(y, 0\.0, 20\.0\)
    y.clamp(min=0.1) | y.clamp(max=0.1) | F.relu6(y)
m\.mean\(2, keepdim=True\)
    m.mean(1, keepdim=True) | m[:, :, :1] | m[:, :1, :1]
(def forward\(self, x.*\):)\n
    \1\n    x = x[:, :200]\n | \1\n    x = x[:, -512:]\n | \1\n    x = x[:, 1:]\n
    \1\n    x = x[:, ::2]\n | \1\n    x = x[:, :-1]\n | \1\n    x = x.flip(1)\n
    \1\n    x = x.flip(2)\n | \1\n    x = x.flip(0)\n | \1\n    x = x * x.shape[1]\n
    \1\n    x = x.roll(1, 1)\n | \1\n    x = x / x.shape[1]\n
    \1\n    x = x - x.mean(1, keepdim=True)\n | \1\n    x = x - x.mean(2, keepdim=True)\n
    \1\n    x = x - x.mean(0, keepdim=True)\n | \1\n    x = x.cumsum(1)\n
    \1\n    x = x.clamp(-0.5, 0.5)\n | \1\n    x = F.pad(x, (0, 0, 1, 0))\n
    \1\n    x = F.pad(x, (0, 0, 0, 1))\n | \1\n    x = x.softmax(1)\n
    \1\n    x = x.narrow(1, 0, min(x.shape[1], 512))\n
    \1\n    x = torch.where(x > 0, x, 0.1 * x)\n | \1\n    x = x / x.norm(dim=-1, keepdim=True)\n
    \1\n    x = F.normalize(x, dim=1)\n | \1\n    x = torch.cat((x, x), 1)\n
    \1\n    x = x + x[:, :1]\n | \1\n    x = x - x[:, -1:]\n | \1\n    x = x.cummax(1)[0]\n
    \1\n    x = x * torch.linspace(0, 1, x.shape[1])[:, None]\n
    \1\n    x = x[:, :, [1, 0, 2, 3, 4]]\n | \1\n    x = x.transpose(1, 2).reshape(x.shape)\n
    \1\n    x = x + 0.1 * x.sum(0, keepdim=True)\n
    \1\n    x = x if x.shape[1] < 100 else 2 * x\n
    \1\n    x = F.avg_pool1d(x.transpose(1, 2), 3, 1, 1).transpose(1, 2)\n
    \1\n    x = torch.sin(x)\n
    \1\n    x = F.max_pool1d(x.transpose(1, 2), 3, 1, 1).transpose(1, 2)\n
    \1\n    x = x * (x > 0)\n
    \1\n    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-3).sqrt()\n
    \1\n    x = F.layer_norm(x, x.shape[-1:])\n
    \1\n    x = x / (1 + x.abs().sum(-1, keepdim=True))\n
    \1\n    x = F.interpolate(x.transpose(1, 2), scale_factor=2).transpose(1, 2)\n
    \1\n    x = x.mT.mT\n | \1\n    x = x * torch.tensor([1.0, -1.0]).repeat(3)[:x.shape[-1]]\n
    \1\n    x = x.sqrt()\n | \1\n    x = x * x\n
\breturn (.+?)((?:, [hcg])*)$
    return (\1)[:, :200]\2 | return (\1).flip(1)\2 | return ((\1), (\1)[:, -1])\2
    return (\1) * x.shape[1]\2 | return (\1).transpose(0, 1)\2 | return (\1)[0]\2
    return (\1).transpose(1, 2)\2 | return (\1).reshape(-1, (\1).shape[-1])\2
    return (\1).squeeze()\2 | return (\1).unsqueeze(1)\2 | return (\1).mean(1)\2
    return (\1)[..., 0]\2 | return (\1).argmax(-1)\2 | return (\1).topk(2).values\2
    return (\1).cumsum(1)\2 | return (\1).sum()\2 | return (\1).softmax(1)\2
    return (\1).softmax(0)\2 | return (\1).softmax(-1)\2 | return (\1).repeat_interleave(2, 1)\2
    return (\1)[:, 1:]\2 | return (\1)[:, :-1]\2 | return (\1)[:, ::2]\2
    return (\1) / (\1).norm(dim=-1, keepdim=True)\2 | return (\1).max(1).values\2
    return (\1) > 0\2 | return (\1).round()\2 | return ((\1).mean(1), (\1).amax(1))\2
    return torch.cat(((\1)[:, 0], (\1)[:, -1]), -1)\2 | return (\1)[:, 5]\2
    return (\1).sum(1) / 7\2 | return (\1).unfold(1, 3, 1)\2
    return (\1).reshape((\1).shape[0], -1, 1)\2 | return (\1).sum(1)\2 | return (\1).flatten(1)\2
    return (\1).sum(-1, keepdim=True)\2 | return (\1).std(1)\2 | return (\1).mean((0, 1))\2
    return (\1).mean()\2 | return (\1).cummax(1)[0]\2 | return (\1).logsumexp(1)\2
    return (\1).logsumexp(-1)\2 | return (\1).log_softmax(-1)\2 | return (\1)[1:]\2
    return (\1)[:, -3:]\2 | return (\1)[:, -3:].mean(1)\2 | return (\1).mean(1, keepdim=True)\2
    return (\1) - (\1).mean(1, keepdim=True)\2 | return (\1).amin(1)\2 | return (\1).norm(dim=1)\2
    return (\1).var(1)\2 | return (\1).prod(1)\2 | return (\1).diff(dim=1)\2
    return (\1)[:, [0, -1]]\2 | return (\1) ** 2\2 | return (\1) ** 3\2
    return (\1).abs().sqrt()\2 | return 1 / (1 + (\1).exp())\2
    return (\1) / (\1).sum(-1, keepdim=True)\2 | return (\1) / (\1).amax(-1, keepdim=True)\2
    return torch.einsum('b...,k->b...k', (\1), (\1)[0, 0])\2 | return (\1).median()\2
""")

STATES = rules(r"""
, h\b(?=$|, )
    , h * 0.5 | , h.clamp(-0.1, 0.1) | , torch.tanh(h) | , h + h0 | , h.flip(0)
    , F.layer_norm(h, (6,)) | , 0.9 * h + 0.1 * h0 | , h0 | , h.roll(1, -1) | , -h | , h * 1.0
    , h.clone() | , h.flip(1) | , h[-1:] | , h.detach() | , h.mean(0) | (nothing)
    , h - h.mean(-1, keepdim=True) | , h.transpose(0, 1) | , h[..., [1, 0, 2, 3, 4, 5]]
, c$
    , c * 0.5 | (nothing) | , h | , torch.tanh(c) | , c0 | , c.clamp(-0.1, 0.1)
, g$
    , g * 0.5 | (nothing) | , h | , g0 | , g + h | , y[:, -1][None] | , z[:, -1][None]
return (.*), h$
    return h, \1 | return \1, y[:, -1][None] | return {'y': \1, 'h': h}
return (.*), h, (\w)$
    return \1, \2, h | return \1, h + \2, \2 | return \2, h, \1
, h0\)$
    , h0 * 0.5) | , torch.tanh(h0)) | , h0.flip(0)) | ) | , h0.clamp(-0.1, 0.1)) | , h0 + 0.1)
    , h0.roll(1, -1)) | , h0.mean(0, keepdim=True).expand_as(h0)) | , h0 * x.mean())
    , h0.flip(1)) | , torch.zeros_like(h0)) | , -h0)
\(h0, c0\)
    (c0, h0) | (h0, h0) | (h0 * 0.5, c0) | (h0, torch.tanh(c0))
, g0\)
    , h0) | , h) | , g0 + h) | , torch.sigmoid(g0))
self\.decoder\(x, h\)
    self.decoder(x) | self.decoder(y[:, :, :5], h)
h\[-1\]\.unsqueeze\(1\)
    y[:, :1] | y[:, -1:] | y.mean(1, keepdim=True)
""")
