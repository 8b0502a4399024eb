// A vector of WIDTH floats. Arithmetic, comparison and ?: are the compiler's vector extensions (GCC, Clang), each operation
// rounded by itself; only what they lack is written per instruction set: mul_add, root, and the masked load and store.

typedef float vf __attribute__((vector_size(WIDTH * 4)));
typedef int vi __attribute__((vector_size(WIDTH * 4)));
typedef float vf_anywhere __attribute__((vector_size(WIDTH * 4), aligned(4), may_alias));

inline vf all(float s) { return s - vf{}; }
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

// body(i, lanes) for every vector of [0, n), the last one masked: the same arithmetic, so a value never depends on its place.
template <class Body>
inline void for_vectors(size_t n, Body body) {
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) body(i, Whole{});
    if (i < n) body(i, Tail{n - i});
}
