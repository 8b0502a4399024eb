// Normalisation. With x^ = (x - mean) / sqrt(var + eps) over a group of M numbers, y = gamma x^ + beta:
//
//     dgamma += sum dy x^      dbeta += sum dy      dx = (g - mean(g) - x^ mean(g x^)) / sqrt(var + eps),  g = gamma dy
//
// An array is (groups, rows, C): batchnorm has one group, instancenorm one per sample; both take statistics by channel.
// Layernorm has a group per sample, whose channels are joint: the statistics of the group are one mean and one variance.
// All sums are first taken by channel over blocks of rows, in float32 about the block's own mean, then over blocks in
// float64 and in order (Chan, Golub & LeVeque 1983): at mean 1000 and deviation 1 no digits are lost.

constexpr int NORM_ROWS = 64, NORM_CHANNELS = 512;  // a block: 128 KB at most, read twice from the cache

// body(group, first row, rows, first channel, channels, block) for every block; `block` counts the row blocks of all groups
template <class Body>
inline void for_norm_blocks(const NormShape& s, const Body& body) {
    const Cut rows(s.rows, NORM_ROWS), channels(s.C, NORM_CHANNELS);
    for_parts(s.groups * rows.pieces * channels.pieces, [&](int part) {
        const int block = part / channels.pieces, c = part % channels.pieces, r = block % rows.pieces;
        body(block / rows.pieces, rows.begin(r), rows.size(r), channels.begin(c), channels.size(c), block);
    });
}

// body(group, channel) for all
template <class Body>
inline void for_channels(const NormShape& s, const Body& body) {
    for_blocks((size_t)s.groups * s.C, NORM_CHANNELS, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; i++) body((int)(i / s.C), (int)(i % s.C));
    });
}

// The sums by channel of K quantities: of(row pointer offset, lanes, terms) fills K terms; to[k][group][c] in float64
template <int K, class Of>
inline void channel_sums(const NormShape& s, double* const (&to)[K], const Of& of) {
    const int row_blocks = Cut(s.rows, NORM_ROWS).pieces;
    const size_t plane = (size_t)s.groups * row_blocks * s.C;
    float* partial = scratch_take(K * plane);
    for_norm_blocks(s, [&](int group, int r0, int rows, int c0, int channels, int block) {
        float* sums = partial + (size_t)block * s.C + c0;
        for (int k = 0; k < K; k++) for_vectors(channels, [&](size_t c, auto lanes) { lanes.store(sums + k * plane + c, vf{}); });
        for (int r = 0; r < rows; r++) {
            const size_t row = ((size_t)group * s.rows + r0 + r) * s.C + c0;
            for_vectors(channels, [&](size_t c, auto lanes) {
                vf terms[K];
                of(row + c, (size_t)group * s.C + c0 + c, lanes, terms);
                for (int k = 0; k < K; k++) lanes.store(sums + k * plane + c, lanes.load(sums + k * plane + c) + terms[k]);
            });
        }
    });
    for_channels(s, [&](int group, int c) {
        for (int k = 0; k < K; k++) {
            double sum = 0;
            for (int b = 0; b < row_blocks; b++) sum += partial[k * plane + ((size_t)group * row_blocks + b) * s.C + c];
            to[k][(size_t)group * s.C + c] = sum;
        }
    });
}

inline double* take_doubles(size_t n) { return (double*)scratch_take(2 * n); }

// Mean and sum of squared deviations of every (group, channel)
inline void moments(const NormShape& s, const float* x, double* mean, double* squares) {
    const Cut cut(s.rows, NORM_ROWS);
    const int row_blocks = cut.pieces;
    const size_t plane = (size_t)s.groups * row_blocks * s.C;
    float* partial = scratch_take(3 * plane);  // the block's rough mean; sums of deviations from it and of their squares
    for_norm_blocks(s, [&](int group, int r0, int rows, int c0, int channels, int block) {
        float *rough = partial + (size_t)block * s.C + c0, *rest = rough + plane, *square = rest + plane;
        const float* from = x + ((size_t)group * s.rows + r0) * s.C + c0;
        for_vectors(channels, [&](size_t c, auto lanes) {
            lanes.store(rough + c, vf{});
            lanes.store(rest + c, vf{});
            lanes.store(square + c, vf{});
        });
        for (int r = 0; r < rows; r++)
            for_vectors(channels, [&](size_t c, auto lanes) {
                lanes.store(rough + c, lanes.load(rough + c) + lanes.load(from + (size_t)r * s.C + c));
            });
        for_vectors(channels, [&](size_t c, auto lanes) { lanes.store(rough + c, lanes.load(rough + c) / (float)rows); });
        for (int r = 0; r < rows; r++)
            for_vectors(channels, [&](size_t c, auto lanes) {
                const vf d = lanes.load(from + (size_t)r * s.C + c) - lanes.load(rough + c);
                lanes.store(rest + c, lanes.load(rest + c) + d);
                lanes.store(square + c, mul_add(d, d, lanes.load(square + c)));
            });
    });
    for_channels(s, [&](int group, int c) {
        double sum = 0, total = 0;
        for (int b = 0; b < row_blocks; b++) {
            const size_t at = ((size_t)group * row_blocks + b) * s.C + c;
            sum += (double)partial[at] * cut.size(b) + partial[plane + at];
        }
        const double centre = sum / s.rows;
        for (int b = 0; b < row_blocks; b++) {
            const size_t at = ((size_t)group * row_blocks + b) * s.C + c;
            const double rest = partial[plane + at], off = partial[at] + rest / cut.size(b) - centre;
            total += partial[2 * plane + at] - rest * rest / cut.size(b) + cut.size(b) * off * off;
        }
        mean[(size_t)group * s.C + c] = centre;
        squares[(size_t)group * s.C + c] = total;
    });
}

// to = act(factor (x - centre - rest) + shift) by (group, channel)
struct Affine {
    const float *centre, *rest, *factor, *shift;
};

inline void affine(const NormShape& s, const float* x, const Affine& a, float* to, Act act) {
    for_norm_blocks(s, [&](int group, int r0, int rows, int c0, int channels, int) {
        const size_t g = (size_t)group * s.C + c0;
        for (int r = 0; r < rows; r++) {
            const size_t row = ((size_t)group * s.rows + r0 + r) * s.C + c0;
            for_vectors(channels, [&](size_t c, auto lanes) {
                const vf d = (lanes.load(x + row + c) - lanes.load(a.centre + g + c)) - lanes.load(a.rest + g + c);
                lanes.store(to + row + c, mul_add(d, lanes.load(a.factor + g + c), lanes.load(a.shift + g + c)));
            });
            if (act.kind != NONE) ACTIVATIONS[act.kind](to + row, to + row, channels, act.slope);
        }
    });
}

inline size_t statistic(const NormShape& s, int group, int c) { return s.joint ? group : (size_t)group * s.C + c; }

// y from statistics in float64, which are split in two floats each
inline void normalise(const NormShape& s, const float* x, const float* gamma, const float* beta, const double* mean,
                      const double* var, double eps, float* y, Act act) {
    const size_t n = (size_t)s.groups * s.C;
    float *centre = scratch_take(n), *rest = scratch_take(n), *factor = scratch_take(n), *shift = scratch_take(n);
    const Cut channels(s.C, NORM_CHANNELS);
    for_parts(s.groups * channels.pieces, [=](int part) {
        const int group = part / channels.pieces, c0 = channels.begin(part % channels.pieces), step = s.joint ? 0 : 1;
        const size_t i0 = (size_t)group * s.C + c0, j0 = statistic(s, group, c0);
        for (int c = 0; c < channels.size(part % channels.pieces); c++) {
            const double m = mean[j0 + step * c];
            centre[i0 + c] = (float)m;
            rest[i0 + c] = (float)(m - (float)m);
            factor[i0 + c] = (float)(gamma[c0 + c] / __builtin_sqrt(var[j0 + step * c] + eps));
            shift[i0 + c] = beta[c0 + c];
        }
    });
    affine(s, x, {centre, rest, factor, shift}, y, act);
}

void norm_forward(const NormShape& s, const float* x, const float* gamma, const float* beta, double eps, float* y, float* mean,
                  float* var, Act act) {
    const size_t n = (size_t)s.groups * s.C;
    double *centre = take_doubles(n), *squares = take_doubles(n);
    moments(s, x, centre, squares);
    if (s.joint)
        for (int group = 0; group < s.groups; group++) {
            double sum = 0, total = 0;
            const double* m = centre + (size_t)group * s.C;
            for (int c = 0; c < s.C; c++) sum += m[c];
            for (int c = 0; c < s.C; c++)
                total += squares[(size_t)group * s.C + c] + s.rows * (m[c] - sum / s.C) * (m[c] - sum / s.C);
            centre[group] = sum / s.C;  // read up to here alone: group <= group * C
            squares[group] = total / s.C;
        }
    const int statistics = s.joint ? s.groups : (int)n;
    for (int i = 0; i < statistics; i++) {
        squares[i] /= s.rows;
        mean[i] = (float)centre[i];
        var[i] = (float)squares[i];
    }
    normalise(s, x, gamma, beta, centre, squares, eps, y, act);
}

void norm_given(const NormShape& s, const float* x, const float* gamma, const float* beta, const float* mean, const float* var,
                double eps, float* y, Act act) {
    const int statistics = s.joint ? s.groups : s.groups * s.C;
    double *m = take_doubles(statistics), *v = take_doubles(statistics);
    for (int i = 0; i < statistics; i++) {
        m[i] = mean[i];
        v[i] = var[i];
    }
    normalise(s, x, gamma, beta, m, v, eps, y, act);
}

// to = sum of factor[k] from[k] + slope d + shift, d = x - centre, the numbers by (group, channel)
template <int K>
inline void combine(const NormShape& s, const float* const (&from)[K], const float* const (&factor)[K], const float* x,
                    const float* centre, const float* slope, const float* shift, float* to) {
    for_norm_blocks(s, [&](int group, int r0, int rows, int c0, int channels, int) {
        const size_t g = (size_t)group * s.C + c0;
        for (int r = 0; r < rows; r++) {
            const size_t row = ((size_t)group * s.rows + r0 + r) * s.C + c0;
            for_vectors(channels, [&](size_t c, auto lanes) {
                const vf d = lanes.load(x + row + c) - lanes.load(centre + g + c);
                vf sum = mul_add(d, lanes.load(slope + g + c), lanes.load(shift + g + c));
                for (int k = 0; k < K; k++) sum = mul_add(lanes.load(from[k] + row + c), lanes.load(factor[k] + g + c), sum);
                lanes.store(to + row + c, sum);
            });
        }
    });
}

// With d = x - mean and its own mean `off` (mean was rounded to float32: 3e-5 at 1000), x^ = (d - off) inv:
//     dx = gamma inv (dy - mean(dy)) - (d - off) gamma inv^2 mean(dy x^)     = k dy + l d + m   by (group, channel)
void norm_backward(const NormShape& s, const float* dy, const float* x, const float* gamma, const float* mean, const float* var,
                   double eps, bool constant, float* dgamma, float* dbeta, float* dx) {
    const size_t n = (size_t)s.groups * s.C;
    float* centre = scratch_take(n);
    double *sum_dy = take_doubles(n), *sum_dy_d = take_doubles(n), *sum_d = take_doubles(n), *scaled = take_doubles(n);
    for_channels(s, [&](int group, int c) { centre[(size_t)group * s.C + c] = mean[statistic(s, group, c)]; });
    channel_sums<3>(s, {sum_dy, sum_dy_d, sum_d}, [=](size_t at, size_t channel, auto lanes, vf(&terms)[3]) {
        const vf g = lanes.load(dy + at), d = lanes.load(x + at) - lanes.load(centre + channel);
        terms[0] = g;
        terms[1] = g * d;
        terms[2] = d;
    });
    float *k = scratch_take(n), *l = scratch_take(n), *m = scratch_take(n);
    for_parts(s.groups, [&](int group) {
        const size_t first = (size_t)group * s.C;
        double joint_d = 0, joint_g = 0, joint_gx = 0;
        for (int c = 0; c < s.C; c++) joint_d += sum_d[first + c];
        for (int c = 0; c < s.C; c++) {
            const size_t i = first + c, j = statistic(s, group, c);
            const double inv = 1 / __builtin_sqrt(var[j] + eps);
            const double off = constant ? 0 : s.joint ? joint_d / ((double)s.rows * s.C) : sum_d[i] / s.rows;
            scaled[i] = inv * (sum_dy_d[i] - off * sum_dy[i]);  // sum of dy x^
            joint_g += gamma[c] * sum_dy[i];
            joint_gx += gamma[c] * scaled[i];
        }
        for (int c = 0; c < s.C; c++) {
            const size_t i = first + c, j = statistic(s, group, c);
            const double inv = 1 / __builtin_sqrt(var[j] + eps), M = s.joint ? (double)s.rows * s.C : s.rows;
            const double off = constant ? 0 : s.joint ? joint_d / M : sum_d[i] / M;
            const double g = constant ? 0 : (s.joint ? joint_g : gamma[c] * sum_dy[i]) / M;
            const double gx = constant ? 0 : (s.joint ? joint_gx : gamma[c] * scaled[i]) / M;
            k[i] = (float)(gamma[c] * inv);
            l[i] = (float)(-inv * inv * gx);
            m[i] = (float)(-inv * g + off * inv * inv * gx);
        }
    });
    for (int c = 0; c < s.C; c++) {
        double to_gamma = 0, to_beta = 0;
        for (int group = 0; group < s.groups; group++) {
            to_gamma += scaled[(size_t)group * s.C + c];
            to_beta += sum_dy[(size_t)group * s.C + c];
        }
        dgamma[c] += (float)to_gamma;
        dbeta[c] += (float)to_beta;
    }
    combine<1>(s, {dy}, {k}, x, centre, l, m, dx);
}

// x^ = (d - off) inv by (group, channel), d = x - centre, and the sums that the tangents need: M numbers share a statistic
struct Normalised {
    float* centre;
    double *inv, *off, *sum_tx, *sum_tx_d, M;
};

inline Normalised normalised(const NormShape& s, const float* mean, const float* var, double eps) {
    const size_t n = (size_t)s.groups * s.C;
    const Normalised a = {scratch_take(n),  take_doubles(n), take_doubles(n),
                          take_doubles(n), take_doubles(n), s.joint ? (double)s.rows * s.C : s.rows};
    for_channels(s, [&](int group, int c) {
        const size_t i = (size_t)group * s.C + c, j = statistic(s, group, c);
        a.centre[i] = mean[j];
        a.inv[i] = 1 / __builtin_sqrt(var[j] + eps);
    });
    return a;
}

// In place: where all channels of a group are joint, the group's sum stands for each channel's
inline void share(const NormShape& s, double* sums) {
    if (!s.joint) return;
    for (int group = 0; group < s.groups; group++) {
        double sum = 0, *of_group = sums + (size_t)group * s.C;
        for (int c = 0; c < s.C; c++) sum += of_group[c];
        for (int c = 0; c < s.C; c++) of_group[c] = sum;
    }
}

// ty = gamma inv (tx - mean(tx) - x^ mean(tx x^))
void norm_tangent(const NormShape& s, const float* tx, const float* x, const float* gamma, const float* mean, const float* var,
                  double eps, float* ty) {
    const size_t n = (size_t)s.groups * s.C;
    const Normalised a = normalised(s, mean, var, eps);
    const float* centre = a.centre;
    channel_sums<3>(s, {a.sum_tx, a.sum_tx_d, a.off}, [=](size_t at, size_t channel, auto lanes, vf(&terms)[3]) {
        const vf t = lanes.load(tx + at), d = lanes.load(x + at) - lanes.load(centre + channel);
        terms[0] = t;
        terms[1] = t * d;
        terms[2] = d;
    });
    for (double* sums : {a.sum_tx, a.sum_tx_d, a.off}) share(s, sums);
    float *k = scratch_take(n), *l = scratch_take(n), *m = scratch_take(n);
    for_channels(s, [&](int group, int c) {
        const size_t i = (size_t)group * s.C + c;
        const double inv = a.inv[i], off = a.off[i] / a.M;
        const double along = inv * (a.sum_tx_d[i] - off * a.sum_tx[i]) / a.M;  // mean(tx x^)
        k[i] = (float)(gamma[c] * inv);
        l[i] = (float)(-gamma[c] * inv * inv * along);
        m[i] = (float)(gamma[c] * inv * (off * inv * along - a.sum_tx[i] / a.M));
    });
    combine<1>(s, {tx}, {k}, x, centre, l, m, ty);
}

// With g = gamma dy, q = inv mean(tx x^), b = mean(g x^):   tx^ = inv (tx - mean(tx)) - q x^, so every term of
//     tdx = inv (tg - mean(tg) - tx^ b - x^ mean(tg x^ + g tx^)) - q inv (g - mean(g) - x^ b)
// is one of tdy, dy, tx, d and 1 times a number by (group, channel).
void norm_backward_tangent(const NormShape& s, const float* tdy, const float* dy, const float* tx, const float* x,
                           const float* gamma, const float* mean, const float* var, double eps, float* dgamma, float* dbeta,
                           float* tdx) {
    const size_t n = (size_t)s.groups * s.C;
    const Normalised a = normalised(s, mean, var, eps);
    const float* centre = a.centre;
    double *g = take_doubles(n), *g_d = take_doubles(n), *g_tx = take_doubles(n), *tg = take_doubles(n), *tg_d = take_doubles(n);
    channel_sums<8>(s, {a.sum_tx, a.sum_tx_d, a.off, g, g_d, g_tx, tg, tg_d},
                    [=](size_t at, size_t channel, auto lanes, vf(&terms)[8]) {
                        const vf t = lanes.load(tx + at), d = lanes.load(x + at) - lanes.load(centre + channel);
                        const vf o = lanes.load(dy + at), to = lanes.load(tdy + at);
                        terms[0] = t;
                        terms[1] = t * d;
                        terms[2] = d;
                        terms[3] = o;
                        terms[4] = o * d;
                        terms[5] = o * t;
                        terms[6] = to;
                        terms[7] = to * d;
                    });
    for (double* sums : {a.sum_tx, a.sum_tx_d, a.off}) share(s, sums);
    double *to_gamma = take_doubles(n), *moved = take_doubles(n), *along = take_doubles(n), *weighted = take_doubles(n);
    double* t_weighted = take_doubles(n);
    for_channels(s, [&](int group, int c) {
        const size_t i = (size_t)group * s.C + c;
        const double inv = a.inv[i], off = a.off[i] / a.M, mean_tx = a.sum_tx[i] / a.M;
        const double growth = inv * inv * (a.sum_tx_d[i] - off * a.sum_tx[i]) / a.M;
        const double g_xhat = inv * (g_d[i] - off * g[i]), tg_xhat = inv * (tg_d[i] - off * tg[i]);
        to_gamma[i] = tg_xhat + inv * (g_tx[i] - mean_tx * g[i]) - growth * g_xhat;  // sum of tdy x^ + dy tx^
        moved[i] = gamma[c] * to_gamma[i];
        along[i] = gamma[c] * g_xhat;
        weighted[i] = gamma[c] * g[i];
        t_weighted[i] = gamma[c] * tg[i];
    });
    for (double* sums : {moved, along, weighted, t_weighted}) share(s, sums);
    float *of_tdy = scratch_take(n), *of_dy = scratch_take(n), *of_tx = scratch_take(n), *l = scratch_take(n), *m = scratch_take(n);
    for_channels(s, [&](int group, int c) {
        const size_t i = (size_t)group * s.C + c;
        const double inv = a.inv[i], off = a.off[i] / a.M, mean_tx = a.sum_tx[i] / a.M;
        const double growth = inv * inv * (a.sum_tx_d[i] - off * a.sum_tx[i]) / a.M, b = along[i] / a.M;
        of_tdy[i] = (float)(gamma[c] * inv);
        of_dy[i] = (float)(-growth * gamma[c] * inv);
        of_tx[i] = (float)(-b * inv * inv);
        const double of_d = inv * inv * (2 * growth * b - moved[i] / a.M);
        l[i] = (float)of_d;
        m[i] = (float)(inv * (growth * weighted[i] - t_weighted[i]) / a.M + b * inv * inv * mean_tx - off * of_d);
    });
    for (int c = 0; c < s.C; c++) {
        double gamma_sum = 0, beta_sum = 0;
        for (int group = 0; group < s.groups; group++) {
            gamma_sum += to_gamma[(size_t)group * s.C + c];
            beta_sum += tg[(size_t)group * s.C + c];
        }
        dgamma[c] += (float)gamma_sum;
        dbeta[c] += (float)beta_sum;
    }
    combine<3>(s, {tdy, dy, tx}, {of_tdy, of_dy, of_tx}, x, centre, l, m, tdx);
}

constexpr Norm NORM = {norm_forward, norm_given, norm_backward, norm_tangent, norm_backward_tangent};
