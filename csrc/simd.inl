// A vector of WIDTH floats. Arithmetic, comparison and ?: are the compiler's vector extensions (GCC, Clang), each operation
// rounded by itself; only what they lack is written per instruction set: mul_add, root, and the masked load and store.

typedef float vf __attribute__((vector_size(WIDTH * 4)));
typedef int vi __attribute__((vector_size(WIDTH * 4)));
typedef float vf_anywhere __attribute__((vector_size(WIDTH * 4), aligned(4), may_alias));

inline vf all(float s) { return s - vf{}; }
inline vf joined(vf held, vf sum) { return held + sum; }  // where a sum is added to what its place holds
inline vf magnitude(vf x) { return (vf)((vi)x & 0x7fffffff); }
inline vf copy_sign(vf size, vf sign) { return (vf)((vi)size | ((vi)sign & ~0x7fffffff)); }

// mul_add(a, b, c) = a b + c: the one place of FMA; two roundings where the instruction set has none.
// load_first, store_first: the first `count` < WIDTH lanes; memory beyond is neither read nor written, lanes beyond are 0.
#if WIDTH == 16
inline vf mul_add(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
inline vf root(vf x) { return _mm512_maskz_sqrt_ps(0xffff, x); }
inline __mmask16 first(size_t count) { return (__mmask16)((1u << count) - 1); }
inline vf load_first(const float* p, size_t count) { return _mm512_maskz_loadu_ps(first(count), p); }
inline void store_first(float* p, size_t count, vf x) { _mm512_mask_storeu_ps(p, first(count), x); }
#elif WIDTH == 8
inline vf mul_add(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
inline vf root(vf x) { return _mm256_sqrt_ps(x); }
inline __m256i first(size_t count) { return (__m256i)(vi{0, 1, 2, 3, 4, 5, 6, 7} < (int)count); }
inline vf load_first(const float* p, size_t count) { return _mm256_maskload_ps(p, first(count)); }
inline void store_first(float* p, size_t count, vf x) { _mm256_maskstore_ps(p, first(count), x); }
#else
inline vf mul_add(vf a, vf b, vf c) { return a * b + c; }
inline vf root(vf x) {
    for (int lane = 0; lane < WIDTH; lane++) x[lane] = __builtin_sqrtf(x[lane]);
    return x;
}
inline vf load_first(const float* p, size_t count) {
    vf x = {};
    for (size_t lane = 0; lane < count; lane++) x[lane] = p[lane];
    return x;
}
inline void store_first(float* p, size_t count, vf x) {
    for (size_t lane = 0; lane < count; lane++) p[lane] = x[lane];
}
#endif

struct Whole {
    vf load(const float* p) const { return *(const vf_anywhere*)p; }
    void store(float* p, vf x) const { *(vf_anywhere*)p = x; }
};

struct Tail {
    size_t count;
    vf load(const float* p) const { return load_first(p, count); }
    void store(float* p, vf x) const { store_first(p, count, x); }
};

// x in the lanes that are there, 0 in the others
inline vf only(Whole, vf x) { return x; }
inline vf only(Tail tail, vf x) {
    vi lane;
    for (int i = 0; i < WIDTH; i++) lane[i] = i;
    return lane < (int)tail.count ? x : vf{};
}

// body(i, lanes) for every vector of [0, n), the last one masked: the same arithmetic, so a value never depends on its place.
template <class Body>
inline void for_vectors(size_t n, Body body) {
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) body(i, Whole{});
    if (i < n) body(i, Tail{n - i});
}

// WIDTH vectors as a square, turned over its diagonal: log2(WIDTH) rounds, each exchanging the odd blocks of `step` lanes
// in one vector with the even ones of its partner.
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, vi{__VA_ARGS__})
#endif
#if WIDTH == 16
inline vf low_8(vf a, vf b) { return SHUFFLE(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23); }
inline vf high_8(vf a, vf b) { return SHUFFLE(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31); }
inline vf low_4(vf a, vf b) { return SHUFFLE(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27); }
inline vf high_4(vf a, vf b) { return SHUFFLE(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31); }
inline vf low_2(vf a, vf b) { return SHUFFLE(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29); }
inline vf high_2(vf a, vf b) { return SHUFFLE(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31); }
inline vf low_1(vf a, vf b) { return SHUFFLE(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30); }
inline vf high_1(vf a, vf b) { return SHUFFLE(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31); }
#elif WIDTH == 8
inline vf low_4(vf a, vf b) { return SHUFFLE(a, b, 0, 1, 2, 3, 8, 9, 10, 11); }
inline vf high_4(vf a, vf b) { return SHUFFLE(a, b, 4, 5, 6, 7, 12, 13, 14, 15); }
inline vf low_2(vf a, vf b) { return SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13); }
inline vf high_2(vf a, vf b) { return SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15); }
inline vf low_1(vf a, vf b) { return SHUFFLE(a, b, 0, 8, 2, 10, 4, 12, 6, 14); }
inline vf high_1(vf a, vf b) { return SHUFFLE(a, b, 1, 9, 3, 11, 5, 13, 7, 15); }
#else
inline vf low_2(vf a, vf b) { return SHUFFLE(a, b, 0, 1, 4, 5); }
inline vf high_2(vf a, vf b) { return SHUFFLE(a, b, 2, 3, 6, 7); }
inline vf low_1(vf a, vf b) { return SHUFFLE(a, b, 0, 4, 2, 6); }
inline vf high_1(vf a, vf b) { return SHUFFLE(a, b, 1, 5, 3, 7); }
#endif

template <int step, vf (*low)(vf, vf), vf (*high)(vf, vf)>
inline void exchange(vf (&r)[WIDTH]) {
#pragma GCC unroll 16
    for (int i = 0; i < WIDTH; i++)
        if (!(i & step)) {
            const vf a = r[i], b = r[i + step];
            r[i] = low(a, b);
            r[i + step] = high(a, b);
        }
}

inline void transpose(vf (&r)[WIDTH]) {
#if WIDTH >= 16
    exchange<8, low_8, high_8>(r);
#endif
#if WIDTH >= 8
    exchange<4, low_4, high_4>(r);
#endif
    exchange<2, low_2, high_2>(r);
    exchange<1, low_1, high_1>(r);
}
