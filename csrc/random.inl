// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), a vector of blocks at a time.
// key = (seed, stream), counter = (block, sample, tick, 0); element e of a sample is word e % 4 of block e / 4.

typedef unsigned vu __attribute__((vector_size(WIDTH * 4)));
typedef unsigned long long vl __attribute__((vector_size(WIDTH * 4)));

// The 64-bit products of the lanes of even number, which hold 32-bit numbers in their lower halves
#if WIDTH == 16
inline vl multiply_even(vu a, vu b) { return (vl)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b); }
#elif WIDTH == 8
inline vl multiply_even(vu a, vu b) { return (vl)_mm256_mul_epu32((__m256i)a, (__m256i)b); }
#else
inline vl multiply_even(vu a, vu b) { return ((vl)a & 0xffffffffu) * ((vl)b & 0xffffffffu); }
#endif

struct Product {
    vu high, low;
};

inline Product multiply(vu a, unsigned b) {
    const vu factor = b - vu{};
    const vl even = multiply_even(a, factor), odd = multiply_even((vu)((vl)a >> 32), factor);
    const vl upper = ~0ull - vl{} - 0xffffffffull;
    return {(vu)((even >> 32) | (odd & upper)), (vu)((even & 0xffffffffull) | (odd << 32))};
}

struct Bits {
    vf word[4];  // of WIDTH blocks; integers, in the type that shuffles take
};

inline Bits philox(vu c0, unsigned sample, unsigned tick, unsigned k0, unsigned k1) {
    vu c1 = sample - vu{}, c2 = tick - vu{}, c3 = vu{};
    for (int round = 0; round < 10; round++) {
        const Product a = multiply(c0, 0xD2511F53u), b = multiply(c2, 0xCD9E8D57u);
        c0 = b.high ^ c1 ^ k0;
        c1 = b.low;
        c2 = a.high ^ c3 ^ k1;
        c3 = a.low;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{(vf)c0, (vf)c1, (vf)c2, (vf)c3}};
}

// Words of WIDTH blocks in the order of their elements: first 4x4 numbers are turned over within each quarter of 4 lanes,
// so that word[i] holds the blocks i, i + 4, ... one per quarter; then the quarters are put in order.
inline void in_order(Bits& bits) {
    vf(&w)[4] = bits.word;
    const vf a = low_2(w[0], w[2]), b = low_2(w[1], w[3]), c = high_2(w[0], w[2]), d = high_2(w[1], w[3]);
    const vf q[4] = {low_1(a, b), high_1(a, b), low_1(c, d), high_1(c, d)};
#if WIDTH == 16
    const vf e = low_4(q[0], q[1]), f = high_4(q[0], q[1]), g = low_4(q[2], q[3]), h = high_4(q[2], q[3]);
    w[0] = low_8(e, g), w[1] = low_8(f, h), w[2] = high_8(e, g), w[3] = high_8(f, h);
#elif WIDTH == 8
    w[0] = low_4(q[0], q[1]), w[1] = low_4(q[2], q[3]), w[2] = high_4(q[0], q[1]), w[3] = high_4(q[2], q[3]);
#else
    for (int i = 0; i < 4; i++) w[i] = q[i];
#endif
}

void dropout(const float* x, float* y, int N, size_t row, unsigned threshold, float factor, unsigned seed, unsigned stream,
             unsigned tick) {
    vu lane;
    for (int i = 0; i < WIDTH; i++) lane[i] = i;
    const size_t step = 4 * WIDTH, pieces = (row + BLOCK - 1) / BLOCK;
    for_parts((int)(N * pieces), [=](int part) {
        const size_t n = part / pieces, begin = part % pieces * BLOCK, end = begin + BLOCK < row ? begin + BLOCK : row;
        for (size_t e = begin; e < end; e += step) {
            Bits bits = philox(lane + (unsigned)(e / 4), (unsigned)n, tick, seed, stream);
            in_order(bits);
            const float* from = x + n * row + e;
            float* to = y + n * row + e;
            for_vectors(end - e < step ? end - e : step, [&](size_t i, auto lanes) {
                const vu drawn = (vu)bits.word[i / WIDTH];
                const vf kept = drawn >= threshold ? all(factor) : vf{};
                lanes.store(to + i, lanes.load(from + i) * kept);
            });
        }
    });
}

constexpr Random RANDOM = {dropout};
