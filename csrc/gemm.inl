// Matrix product, the heart of every dense and convolution kernel.
//
//     C[m][n] (+)= sum_k A[m][k] B[k][n]
//
// A micro-kernel keeps an MR x NR block of C in registers over the whole sum: per k it loads one row of B (NV vectors) and
// multiplies it by MR numbers of A, each broadcast to a vector. That is MR NV multiply-adds for MR + NV loads, so the FMA
// units and not the loads are what limits it; MR NV + NV + 1 vectors fill the registers. (Goto & van de Geijn 2008,
// "Anatomy of high-performance matrix multiplication"; Van Zee & van de Geijn 2015, BLIS.)
//
// Two micro-kernels differ in how A lies:
//
//     along m    A[m][k] = rows[m][k]       forward and data gradient. A is never copied: its rows lie anywhere, a pointer
//                                           each, so that a convolution is the same product as a dense layer: the rows are
//                                           the pixels that a tap of the kernel meets, in channels-last images contiguous
//                                           numbers. (Dukhan 2019, "The indirect convolution algorithm", arXiv:1907.02129.)
//     along k    A[m][k] = a[k * lda + m]   weight gradient, x^T dy: a row of A per term of the sum
//
// A number of C is summed in the order of k, whatever its place in the block and whoever computes it, and only then added
// to what C holds, whose lines are fetched meanwhile.

#if WIDTH == 16
constexpr int MR = 14, NV = 2;
#else
constexpr int MR = 6, NV = 2;
#endif
constexpr int NR = NV * WIDTH;
constexpr int KC = 512;  // at most so many terms per pass over B: KC x NR of it stay in the second cache

// B as the micro-kernels read it: number (k, n) at at[(n / NR) * panel + k * ld + n % NR].
struct Panels {
    const float* at;
    size_t panel, ld;
    const float* from(size_t k, int n) const { return at + n / NR * panel + k * ld; }  // n is a multiple of NR
};

// V vectors of a row, the last one through `lanes`: Whole, or Tail for the last columns of a matrix
template <int V, class Lanes>
inline void load_row(const float* p, Lanes lanes, vf (&row)[V]) {
    for (int v = 0; v < V - 1; v++) row[v] = Whole{}.load(p + v * WIDTH);
    row[V - 1] = lanes.load(p + (V - 1) * WIDTH);
}

template <int V, class Lanes>
inline void store_row(float* p, Lanes lanes, const vf (&row)[V]) {
    for (int v = 0; v < V - 1; v++) Whole{}.store(p + v * WIDTH, row[v]);
    lanes.store(p + (V - 1) * WIDTH, row[V - 1]);
}

// One term of the sum: a row of B times M numbers of A
template <int M, int V, class Lanes, class Left>
inline void multiply_add(const float* b, Lanes lanes, const Left& left, vf (&sum)[M][V]) {
    vf row[V];
    load_row<V>(b, lanes, row);
#pragma GCC unroll 14
    for (int i = 0; i < M; i++) {
        const vf factor = all(left(i));
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) sum[i][v] = mul_add(factor, row[v], sum[i][v]);
    }
}

enum Along { ALONG_M, ALONG_K };

// A stretch of the sum: K rows of B, `ldb` apart, and what goes with them of A.
template <Along along>
struct Term;
template <>
struct Term<ALONG_M> {
    const float* const* rows;
    size_t first;  // added to every row
    const float* b;
};
template <>
struct Term<ALONG_K> {
    const float* a;
    size_t lda;
    const float* b;
};

// c[i][column + j] (+)= sum over terms and k of A[i][k] b[k][j],  i < M, j < V WIDTH or its tail; `add` keeps what c holds.
template <Along along, int M, int V, class Lanes>
void micro_kernel(int terms, const Term<along>* term, int K, size_t ldb, float* const* c, size_t column, bool add, Lanes lanes) {
    vf sum[M][V];
#pragma GCC unroll 14
    for (int i = 0; i < M; i++) {
        if (add) __builtin_prefetch(c[i] + column, 1);
        if (add && WIDTH == 16 && V == 2) __builtin_prefetch(c[i] + column + WIDTH, 1);
        for (int v = 0; v < V; v++) sum[i][v] = vf{};
    }
    for (int t = 0; t < terms; t++) {
        const float* b = term[t].b;
        if constexpr (along == ALONG_M) {
            const float* rows[M];
            for (int i = 0; i < M; i++) rows[i] = term[t].rows[i] + term[t].first;
            for (int k = 0; k < K; k++, b += ldb)
                multiply_add<M, V>(b, lanes, [&](int i) { return rows[i][k]; }, sum);
        } else {
            const float* a = term[t].a;
            for (int k = 0; k < K; k++, b += ldb, a += term[t].lda)
                multiply_add<M, V>(b, lanes, [&](int i) { return a[i]; }, sum);
        }
    }
#pragma GCC unroll 14
    for (int i = 0; i < M; i++) {
        if (add) {
            vf held[V];
            load_row<V>(c[i] + column, lanes, held);
            for (int v = 0; v < V; v++) sum[i][v] = joined(held[v], sum[i][v]);
        }
        store_row<V>(c[i] + column, lanes, sum[i]);
    }
}

// Columns [column, end) of up to NR.
template <Along along>
using Call = void (*)(int terms, const Term<along>* term, int K, size_t ldb, float* const* c, int column, int end, bool add);

template <Along along, int M>
void micro(int terms, const Term<along>* term, int K, size_t ldb, float* const* c, int column, int end, bool add) {
    static_assert(NV == 2, "two widths");
    const int columns = end - column;
    if (columns >= NR)
        micro_kernel<along, M, 2>(terms, term, K, ldb, c, column, add, Whole{});
    else if (columns > WIDTH)
        micro_kernel<along, M, 2>(terms, term, K, ldb, c, column, add, Tail{(size_t)columns - WIDTH});
    else
        micro_kernel<along, M, 1>(terms, term, K, ldb, c, column, add, Tail{(size_t)columns});
}

template <Along along, int... M>
struct Table {
    static constexpr Call<along> calls[] = {micro<along, M>...};
};
// micro-kernels for 1 .. MR rows
#if WIDTH == 16
template <Along along>
using Micro = Table<along, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
#else
template <Along along>
using Micro = Table<along, 1, 2, 3, 4, 5, 6>;
#endif

// [0, n) cut in the fewest pieces of at most `most`, their sizes equal to within one: no piece is a leftover.
struct Cut {
    int pieces, least, larger;  // the first `larger` pieces have one more than `least`
    Cut(int n, int most) : pieces((n + most - 1) / most), least(n / pieces), larger(n % pieces) {}
    int begin(int i) const { return i * least + (i < larger ? i : larger); }
    int size(int i) const { return least + (i < larger); }
    int largest() const { return size(0); }
};

// The product with B's columns where its rows should be, C[m][n] = sum_k a[m][k] b[n][k], for so few rows of C that turning
// B over would cost more than the sum: vectors run along k, and their lanes are added at the very end.
#if WIDTH == 16
constexpr int DOT_M = 6, DOT_N = 4;
#else
constexpr int DOT_M = 3, DOT_N = 3;
#endif

// lanes of each vector summed, in pairs
inline float add_lanes(vf x) {
    float lane[WIDTH];
    *(vf_anywhere*)lane = x;
    for (int half = WIDTH / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

struct Dot {
    const float* const* a;  // M rows
    const float* b;         // N rows, `ldb` apart
};

// c[i][j] = sum over terms and k < K of a[i][k] b[j][k]
template <int M, int N>
void dot_kernel(int terms, const Dot* term, int K, size_t ldb, float* const* c, int column) {
    vf sum[M][N];
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) sum[i][j] = vf{};
    for (int t = 0; t < terms; t++) {
        const float* a[M];
        for (int i = 0; i < M; i++) a[i] = term[t].a[i];
        const float* b = term[t].b;
        for_vectors(K, [&](size_t k, auto lanes) {
            vf left[M];
#pragma GCC unroll 6
            for (int i = 0; i < M; i++) left[i] = lanes.load(a[i] + k);
#pragma GCC unroll 6
            for (int j = 0; j < N; j++) {
                const vf right = lanes.load(b + j * ldb + k);
#pragma GCC unroll 6
                for (int i = 0; i < M; i++) sum[i][j] = mul_add(left[i], right, sum[i][j]);
            }
        });
    }
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) c[i][column + j] = add_lanes(sum[i][j]);
}

using DotCall = void (*)(int terms, const Dot* term, int K, size_t ldb, float* const* c, int column);

template <int M, int... N>
struct DotRow {
    static constexpr DotCall calls[] = {dot_kernel<M, N>...};
};
// dot kernels for 1 .. DOT_M rows, 1 .. DOT_N columns
#if WIDTH == 16
template <int M>
using DotColumns = DotRow<M, 1, 2, 3, 4>;
constexpr const DotCall* DOTS[DOT_M] = {DotColumns<1>::calls, DotColumns<2>::calls, DotColumns<3>::calls,
                                        DotColumns<4>::calls, DotColumns<5>::calls, DotColumns<6>::calls};
#else
template <int M>
using DotColumns = DotRow<M, 1, 2, 3>;
constexpr const DotCall* DOTS[DOT_M] = {DotColumns<1>::calls, DotColumns<2>::calls, DotColumns<3>::calls};
#endif

// WIDTH x WIDTH numbers of `from` (rows `ld` apart) turned over: to[j * to_ld + i] = from[i * ld + j]
inline void transpose_block(const float* from, size_t ld, float* to, size_t to_ld) {
    vf r[WIDTH];
#pragma GCC unroll 16
    for (int i = 0; i < WIDTH; i++) r[i] = Whole{}.load(from + i * ld);
    transpose(r);
#pragma GCC unroll 16
    for (int i = 0; i < WIDTH; i++) Whole{}.store(to + i * to_ld, r[i]);
}

// B[k][n] = w[n][k] (N rows, `ld` apart, of K numbers) as panels of NR columns; columns beyond N are 0.
inline void pack_transposed(const float* w, size_t ld, int K, int N, int n0, float* panel) {
    for (int j = 0; j < NR; j += WIDTH) {
        const int n = n0 + j;
        int k = 0;
        if (n + WIDTH <= N)
            for (; k + WIDTH <= K; k += WIDTH) transpose_block(w + n * ld + k, ld, panel + (size_t)k * NR + j, NR);
        for (; k < K; k++)
            for (int i = 0; i < WIDTH; i++) panel[(size_t)k * NR + j + i] = n + i < N ? w[(n + i) * ld + k] : 0;
    }
}

// B[k][n] = w[k][n] (K rows, `ld` apart) as a panel of the NR columns from n0; columns beyond N are 0.
inline void pack(const float* w, size_t ld, int K, int N, int n0, float* panel) {
    const int columns = N - n0 < NR ? N - n0 : NR;
    for (int k = 0; k < K; k++, w += ld, panel += NR)
        if (columns == NR) {
            for (int j = 0; j < NR; j += WIDTH) Whole{}.store(panel + j, Whole{}.load(w + n0 + j));
        } else {
            for (int j = 0; j < NR; j++) panel[j] = j < columns ? w[n0 + j] : 0;
        }
}
