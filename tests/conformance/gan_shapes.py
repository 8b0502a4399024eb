"""Convolutions of well-known GANs: (image H, W), input channels, output channels, kernel, stride, padding.

Of transposed convolutions the forward convolution that they run backwards. Channels are cut to 128 where papers have
more. DCGAN: Radford et al. 2016, arXiv:1511.06434; SNGAN: Miyato et al. 2018, arXiv:1802.05957; WGAN-GP: Gulrajani et
al. 2017, arXiv:1704.00028; pix2pix: Isola et al. 2017, arXiv:1611.07004; CycleGAN: Zhu et al. 2017, arXiv:1703.10593.
"""

SAME_5_2 = ((1, 2), (1, 2))  # Keras' "same" for 5x5, stride 2, even sizes
ONE = ((1, 1), (1, 1))

GAN_SHAPES = {
    "DCGAN 28, G 256->128": ((7, 7), 128, 256, 5, 1, ((2, 2), (2, 2))),
    "DCGAN 28, G 128->64 and D 64->128": ((14, 14), 64, 128, 5, 2, SAME_5_2),
    "DCGAN 28, G 64->1 and D 1->64": ((28, 28), 1, 64, 5, 2, SAME_5_2),
    "DCGAN 32, D 3->64": ((32, 32), 3, 64, 5, 2, SAME_5_2),
    "DCGAN 64, D 3->64": ((64, 64), 3, 64, 5, 2, SAME_5_2),
    "DCGAN 64, D 64->128": ((32, 32), 64, 128, 5, 2, SAME_5_2),
    "DCGAN 64, G 4x4 -> 8x8": ((8, 8), 128, 128, 4, 2, ONE),
    "SNGAN 32, D 3x3 stride 1": ((32, 32), 3, 64, 3, 1, ONE),
    "SNGAN 32, D 4x4 stride 2": ((32, 32), 64, 64, 4, 2, ONE),
    "SNGAN 32, residual 3x3": ((8, 8), 128, 128, 3, 1, ONE),
    "SNGAN, shortcut 1x1": ((16, 16), 64, 128, 1, 1, ((0, 0), (0, 0))),
    "WGAN-GP 64, residual 3x3": ((16, 16), 64, 128, 3, 1, ONE),
    "pix2pix, U-Net 4x4 stride 2": ((16, 16), 64, 128, 4, 2, ONE),
    "pix2pix, innermost 2x2 -> 1x1": ((2, 2), 128, 128, 4, 2, ONE),
    "pix2pix, PatchGAN 4x4 stride 1": ((15, 15), 64, 128, 4, 1, ONE),
    "pix2pix, PatchGAN to one logit": ((15, 15), 128, 1, 4, 1, ONE),
    "CycleGAN, 7x7 from 3": ((32, 32), 3, 64, 7, 1, ((3, 3), (3, 3))),
    "CycleGAN, 7x7 to 3": ((32, 32), 64, 3, 7, 1, ((3, 3), (3, 3))),
    "CycleGAN, 3x3 stride 2": ((32, 32), 64, 128, 3, 2, ONE),
    "CycleGAN, residual 3x3": ((16, 16), 128, 128, 3, 1, ONE),
}
