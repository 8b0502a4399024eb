// Ops that move or mix pixels without weights, and the embedding. One part per sample; a pixel is C numbers in a row.

inline void copy(const float* from, float* to, size_t n) {
    for_vectors(n, [=](size_t i, auto lanes) { lanes.store(to + i, lanes.load(from + i)); });
}
inline void fill(float* to, size_t n, float value) {
    for_vectors(n, [=](size_t i, auto lanes) { lanes.store(to + i, all(value)); });
}
inline void add(const float* from, float* to, size_t n) {
    for_vectors(n, [=](size_t i, auto lanes) { lanes.store(to + i, lanes.load(to + i) + lanes.load(from + i)); });
}

// y[h][v] = factor x[h / 2][v / 2]
void spread2x(const ImageShape& s, const float* x, float* y, float factor) {
    for_parts(s.N, [=](int n) {
        for (int h = 0; h < 2 * s.H; h++)
            for (int v = 0; v < 2 * s.W; v++) {
                const float* from = x + (((size_t)n * s.H + h / 2) * s.W + v / 2) * s.C;
                float* to = y + (((size_t)n * 2 * s.H + h) * 2 * s.W + v) * s.C;
                for_vectors(s.C, [=](size_t c, auto lanes) { lanes.store(to + c, lanes.load(from + c) * factor); });
            }
    });
}

// y[h][v] = factor times the sum of x's 2x2 block
void gather2x(const ImageShape& s, const float* x, float* y, float factor) {
    const int P = s.H / 2, Q = s.W / 2;
    const size_t row = (size_t)s.W * s.C;
    for_parts(s.N, [=](int n) {
        for (int p = 0; p < P; p++)
            for (int q = 0; q < Q; q++) {
                const float* from = x + ((size_t)n * s.H + 2 * p) * row + 2 * q * s.C;
                float* to = y + (((size_t)n * P + p) * Q + q) * s.C;
                for_vectors(s.C, [=](size_t c, auto lanes) {
                    const vf top = lanes.load(from + c) + lanes.load(from + s.C + c);
                    const vf bottom = lanes.load(from + row + c) + lanes.load(from + row + s.C + c);
                    lanes.store(to + c, (top + bottom) * factor);
                });
            }
    });
}

// y (N, height, width, C) = the window of x that begins at (top, left), which may be negative; zeros outside x
void window(const ImageShape& s, const float* x, float* y, int height, int width, int top, int left) {
    for_parts(s.N, [=](int n) {
        for (int h = 0; h < height; h++) {
            float* to = y + ((size_t)n * height + h) * width * s.C;
            const int from = h + top;
            fill(to, (size_t)width * s.C, 0);
            const int begin = left < 0 ? -left : 0, end = s.W - left < width ? s.W - left : width;
            if (from >= 0 && from < s.H && begin < end)
                copy(x + (((size_t)n * s.H + from) * s.W + begin + left) * s.C, to + (size_t)begin * s.C,
                     (size_t)(end - begin) * s.C);
        }
    });
}

// rows of `width` numbers, from[first ...] of rows of ld_from to to[...] of rows of ld_to
void copy_columns(const float* from, size_t ld_from, float* to, size_t ld_to, size_t rows, size_t width) {
    for_blocks(rows, 1024, [=](size_t begin, size_t end) {
        for (size_t r = begin; r < end; r++) copy(from + r * ld_from, to + r * ld_to, width);
    });
}

// y[n][p] = x[n][index[n][p]], 0 for -1
void gather_pixels(const float* x, const int* index, float* y, int N, int pixels, int P, int C) {
    for_parts(N, [=](int n) {
        for (int p = 0; p < P; p++) {
            const int from = index[(size_t)n * P + p];
            float* to = y + ((size_t)n * P + p) * C;
            if (from < 0)
                fill(to, C, 0);
            else
                copy(x + ((size_t)n * pixels + from) * C, to, C);
        }
    });
}

void gather_pixels_backward(const float* dy, const int* index, float* dx, int N, int pixels, int P, int C) {
    for_parts(N, [=](int n) {
        fill(dx + (size_t)n * pixels * C, (size_t)pixels * C, 0);
        for (int p = 0; p < P; p++)
            if (const int to = index[(size_t)n * P + p]; to >= 0)
                add(dy + ((size_t)n * P + p) * C, dx + ((size_t)n * pixels + to) * C, C);
    });
}

// `by` (N,2): down, right
void shift(const ImageShape& s, const float* x, const int* by, float* y) {
    for_parts(s.N, [=](int n) {
        const size_t image = (size_t)s.H * s.W * s.C;
        for (int h = 0; h < s.H; h++)
            for (int v = 0; v < s.W; v++) {
                const long long from_h = (long long)h - by[2 * n], from_v = (long long)v - by[2 * n + 1];
                float* to = y + n * image + ((size_t)h * s.W + v) * s.C;
                if (from_h < 0 || from_h >= s.H || from_v < 0 || from_v >= s.W)
                    fill(to, s.C, 0);
                else
                    copy(x + n * image + ((size_t)from_h * s.W + from_v) * s.C, to, s.C);
            }
    });
}

void flip(const ImageShape& s, const float* x, const int* mask, float* y) {
    for_parts(s.N, [=](int n) {
        for (int h = 0; h < s.H; h++)
            for (int v = 0; v < s.W; v++) {
                const size_t row = ((size_t)n * s.H + h) * s.W;
                copy(x + (row + (mask[n] ? s.W - 1 - v : v)) * s.C, y + (row + v) * s.C, s.C);
            }
    });
}

// `box` (N,4): top, left, bottom, right
void cutout(const ImageShape& s, const float* x, const int* box, float* y) {
    for_parts(s.N, [=](int n) {
        const int* b = box + 4 * n;
        for (int h = 0; h < s.H; h++)
            for (int v = 0; v < s.W; v++) {
                const size_t at = (((size_t)n * s.H + h) * s.W + v) * s.C;
                if (h >= b[0] && h < b[2] && v >= b[1] && v < b[3])
                    fill(y + at, s.C, 0);
                else
                    copy(x + at, y + at, s.C);
            }
    });
}

// a = x + brightness; s = m_C(a) + saturation (a - m_C(a)); y = m(s) + contrast (s - m(s)), per sample; means in float64
void colour(const ImageShape& s, const float* x, const float* brightness, const float* saturation, const float* contrast,
            float* y) {
    for_parts(s.N, [=](int n) {
        const size_t pixels = (size_t)s.H * s.W, image = pixels * s.C;
        const float* from = x + n * image;
        float* to = y + n * image;
        const float shift = brightness ? brightness[n] : 0;
        double total = 0;
        for (size_t p = 0; p < pixels; p++, from += s.C, to += s.C) {
            double sum = 0;
            for (int c = 0; c < s.C; c++) sum += from[c] + shift;
            const float grey = (float)(sum / s.C);
            for (int c = 0; c < s.C; c++) {
                to[c] = grey + saturation[n] * ((from[c] + shift) - grey);
                total += to[c];
            }
        }
        const float level = (float)(total / image);
        to = y + n * image;
        for_vectors(image, [=](size_t i, auto lanes) {
            lanes.store(to + i, level + contrast[n] * (lanes.load(to + i) - level));
        });
    });
}

// One more channel per sample: mean over pixels and channels of sqrt(var over the group + eps)
void minibatch_stddev(const ImageShape& s, const float* x, float* y, int group, float eps) {
    const size_t image = (size_t)s.H * s.W * s.C;
    for_parts(s.N / group, [=](int g) {
        const float* from = x + (size_t)g * group * image;
        double sum = 0;
        for (size_t i = 0; i < image; i++) {
            double mean = 0, var = 0;
            for (int n = 0; n < group; n++) mean += from[n * image + i];
            mean /= group;
            for (int n = 0; n < group; n++) var += (from[n * image + i] - mean) * (from[n * image + i] - mean);
            sum += __builtin_sqrt(var / group + eps);
        }
        const float level = (float)(sum / image);
        for (int n = g * group; n < (g + 1) * group; n++)
            for (int p = 0; p < s.H * s.W; p++) {
                const size_t pixel = (size_t)n * s.H * s.W + p;
                copy(x + pixel * s.C, y + pixel * (s.C + 1), s.C);
                y[pixel * (s.C + 1) + s.C] = level;
            }
    });
}

void minibatch_stddev_backward(const ImageShape& s, const float* dy, const float* x, float* dx, int group, float eps) {
    const size_t pixels = (size_t)s.H * s.W, image = pixels * s.C;
    for_parts(s.N / group, [=](int g) {
        const size_t first = (size_t)g * group;
        double ds = 0;
        for (size_t p = first * pixels; p < (first + group) * pixels; p++) ds += dy[p * (s.C + 1) + s.C];
        for (size_t i = 0; i < image; i++) {
            const float* from = x + first * image + i;
            double mean = 0, var = 0;
            for (int n = 0; n < group; n++) mean += from[n * image];
            mean /= group;
            for (int n = 0; n < group; n++) var += (from[n * image] - mean) * (from[n * image] - mean);
            const double scale = ds / ((double)group * image * __builtin_sqrt(var / group + eps));
            for (int n = 0; n < group; n++) {
                const size_t pixel = (first + n) * pixels + i / s.C;
                dx[(first + n) * image + i] = dy[pixel * (s.C + 1) + i % s.C] + (float)(scale * (from[n * image] - mean));
            }
        }
    });
}

// y[n] = w[label_n]
void embedding(const int* labels, const float* w, float* y, int N, int F) {
    for (int n = 0; n < N; n++) copy(w + (size_t)labels[n] * F, y + (size_t)n * F, F);
}

void embedding_backward(const float* dy, const int* labels, float* dw, int N, int F) {
    for (int n = 0; n < N; n++) add(dy + (size_t)n * F, dw + (size_t)labels[n] * F, F);
}

constexpr Images IMAGES = {spread2x, gather2x, window,           copy_columns,
                           gather_pixels, gather_pixels_backward, shift, flip,
                           cutout, colour, minibatch_stddev, minibatch_stddev_backward,
                           embedding, embedding_backward};
