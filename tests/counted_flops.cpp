// The convolutions of csrc/, compiled with a vector that counts its additions and multiplications, run on real arrays.
// Each line on standard input is a shape, "N H W I KH KW O sh sw top bottom left right"; a line of output per
// implementation and pass is "NAME PASS COUNTED PRODUCTS TRANSFORMS", the last two as the implementation tells them.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "alloc.h"
#include "kernels.h"
#include "parallel.h"

namespace minigan {

std::vector<void*> taken;
float* scratch_take(size_t floats) {
    taken.push_back(std::aligned_alloc(64, (floats * sizeof(float) + 64) / 64 * 64));
    return static_cast<float*>(taken.back());
}
void run_parts(int parts, void (*task)(const void*, int), const void* context) {
    for (int part = 0; part < parts; part++) task(context, part);
}

namespace {

#define WIDTH 4
double counted = 0;

struct vf {
    float lane[WIDTH];
};
using vf_anywhere = vf;

template <class Operation>
vf each(vf a, vf b, Operation operation) {
    counted += WIDTH;
    for (int i = 0; i < WIDTH; i++) a.lane[i] = operation(a.lane[i], b.lane[i]);
    return a;
}
vf operator+(vf a, vf b) { return each(a, b, [](float x, float y) { return x + y; }); }
vf operator-(vf a, vf b) { return each(a, b, [](float x, float y) { return x - y; }); }
vf operator*(vf a, vf b) { return each(a, b, [](float x, float y) { return x * y; }); }
vf& operator+=(vf& a, vf b) { return a = a + b; }
vf& operator-=(vf& a, vf b) { return a = a - b; }
vf operator-(vf a) {
    for (float& x : a.lane) x = -x;
    return a;
}
vf mul_add(vf a, vf b, vf c) { return a * b + c; }
vf joined(vf held, vf sum) {  // not counted, as kernels.h says
    for (int i = 0; i < WIDTH; i++) held.lane[i] += sum.lane[i];
    return held;
}
vf all(float s) {
    vf a;
    for (float& x : a.lane) x = s;
    return a;
}

struct Tail {
    size_t count;
    vf load(const float* p) const {
        vf a{};
        for (size_t i = 0; i < count; i++) a.lane[i] = p[i];
        return a;
    }
    void store(float* p, vf a) const {
        for (size_t i = 0; i < count; i++) p[i] = a.lane[i];
    }
};
struct Whole : Tail {
    Whole() : Tail{WIDTH} {}
};
template <class Body>
void for_vectors(size_t n, Body body) {
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) body(i, Whole{});
    if (i < n) body(i, Tail{n - i});
}
void transpose(vf (&r)[WIDTH]) {
    for (int i = 0; i < WIDTH; i++)
        for (int j = 0; j < i; j++) std::swap(r[i].lane[j], r[j].lane[i]);
}
void identity(const float*, float*, size_t, float) {}
constexpr void (*ACTIVATIONS[ACT_KINDS])(const float*, float*, size_t, float) = {identity};
constexpr size_t BLOCK = 4096;

#include "parts.inl"
#include "gemm.inl"
#include "linear.inl"
#include "conv.inl"
#include "im2col.inl"
#include "dft.inl"
#include "fft_plan.inl"
#include "spectra.inl"
#include "fft.inl"

void report(const char* name, const Conv& conv, const ConvShape& s) {
    std::vector<float> x(s.N * s.H * s.W * s.I), y(s.N * s.P * s.Q * s.O), w(s.KH * s.KW * s.I * s.O);
    for (int pass = FORWARD; pass < PASSES; pass++) {
        counted = 0;
        if (pass == FORWARD) conv.forward(s, {x.data(), nullptr}, {w.data(), nullptr}, nullptr, y.data(), {NONE, 0});
        if (pass == DGRAD) conv.dgrad(s, y.data(), {w.data(), nullptr}, nullptr, x.data(), {NONE, 0});
        if (pass == WGRAD) conv.wgrad(s, y.data(), {x.data(), nullptr}, w.data());
        const Flops told = conv.flops(s, static_cast<Pass>(pass));
        std::printf("%s %s %.0f %.0f %.0f\n", name, PASS_NAMES[pass], counted, told.products, told.transforms);
        for (void* block : taken) std::free(block);
        taken.clear();
    }
}

}  // namespace
}  // namespace minigan

int main() {
    using namespace minigan;
    ConvShape s;
    int bottom, right;
    while (std::scanf("%d%d%d%d%d%d%d%d%d%d%d%d%d", &s.N, &s.H, &s.W, &s.I, &s.KH, &s.KW, &s.O, &s.sh, &s.sw, &s.top, &bottom,
                      &s.left, &right) == 13) {
        s.P = (s.H + s.top + bottom - s.KH) / s.sh + 1;
        s.Q = (s.W + s.left + right - s.KW) / s.sw + 1;
        const Conv conv[CONV_ALGORITHMS] = {DIRECT_CONV, IM2COL_CONV, FFT_CONV};
        for (int i = 0; i < CONV_ALGORITHMS; i++) report(CONV_NAMES[i], conv[i], s);
    }
}
