// Convolution of few channels: a tap alone is too short a sum for the matrix product, so each output pixel's window is
// copied into one row ("im2col"; Chellapilla et al. 2006), and the dense layer's kernels do the rest. The data gradient
// multiplies first and adds the windows up afterwards.

// Rows of windows per sample: columns (P Q, KH KW I) of image x (H,W,I), zeros outside. The image is put in a frame of zeros
// first, so that no window asks where it is; its rows are then copied as whole vectors, and what one has too much is
// overwritten by the next, except at the very end.
inline void gather_windows(const ConvShape& s, const float* x, float* columns) {
    const int height = (s.P - 1) * s.sh + s.KH, ld = ((s.Q - 1) * s.sw + s.KW) * s.I, row = s.KW * s.I;
    const int left = s.left * s.I, inside = s.W * s.I < ld - left ? s.W * s.I : ld - left;
    float* framed = scratch_take((size_t)height * ld + WIDTH);
    for (int h = 0; h < height; h++) {
        const int from = h - s.top;
        float* to = framed + (size_t)h * ld;
        for (int k = 0; k < ld; k++) to[k] = 0;
        if (from < 0 || from >= s.H) continue;
        for (int k = 0; k < inside; k++) to[left + k] = x[(size_t)from * s.W * s.I + k];
    }
    const float* end = columns + (size_t)s.P * s.Q * s.KH * row - WIDTH;
    for (int p = 0; p < s.P; p++)
        for (int q = 0; q < s.Q; q++)
            for (int i = 0; i < s.KH; i++, columns += row) {
                const float* from = framed + ((size_t)p * s.sh + i) * ld + q * s.sw * s.I;
                int k = 0;
                for (; k < row && columns + k <= end; k += WIDTH) Whole{}.store(columns + k, Whole{}.load(from + k));
                for (; k < row; k++) columns[k] = from[k];
            }
}

// dx (H,W,I) = sum of the windows' rows
inline void scatter_windows(const ConvShape& s, const float* columns, float* dx) {
    for (int k = 0; k < s.H * s.W * s.I; k++) dx[k] = 0;
    for (int p = 0; p < s.P; p++)
        for (int q = 0; q < s.Q; q++)
            for (int i = 0; i < s.KH; i++, columns += s.KW * s.I) {
                const int h = p * s.sh + i - s.top, v0 = q * s.sw - s.left;
                if (h < 0 || h >= s.H) continue;
                const int begin = v0 < 0 ? -v0 * s.I : 0, end = (v0 + s.KW > s.W ? s.W - v0 : s.KW) * s.I;
                float* row = dx + ((size_t)h * s.W + v0) * s.I;
                for (int k = begin; k < end; k++) row[k] += columns[k];
            }
}

size_t windows_numbers(const ConvShape& s) { return (size_t)s.N * s.P * s.Q * s.KH * s.KW * s.I; }

// All windows of all samples
void make_windows(const ConvShape& s, const float* x, float* windows) {
    for_parts(s.N, [&](int n) {
        gather_windows(s, x + (size_t)n * s.H * s.W * s.I, windows + (size_t)n * s.P * s.Q * s.KH * s.KW * s.I);
    });
}

void im2col_forward(const ConvShape& s, Given x, Given w, const float* b, float* y, Act act) {
    const int pixels = s.P * s.Q, K = s.KH * s.KW * s.I;
    for_parts(s.N, [&](int n) {
        const float* windows = x.ready + (size_t)n * pixels * K;
        if (!x.ready) {
            float* made = scratch_take((size_t)pixels * K);
            gather_windows(s, x.array + (size_t)n * s.H * s.W * s.I, made);
            windows = made;
        }
        linear_forward(windows, w.array, b, y + (size_t)n * pixels * s.O, pixels, K, s.O, act);
    });
}

void im2col_dgrad(const ConvShape& s, const float* dy, Given w, const float* b, float* dx, Act act) {
    const int pixels = s.P * s.Q, K = s.KH * s.KW * s.I;
    for_parts(s.N, [&](int n) {
        float* columns = scratch_take((size_t)pixels * K);
        float* image = dx + (size_t)n * s.H * s.W * s.I;
        linear_dgrad(dy + (size_t)n * pixels * s.O, w.array, columns, pixels, K, s.O);
        scatter_windows(s, columns, image);
        if (b)
            for (int k = 0; k < s.H * s.W; k++)
                for (int i = 0; i < s.I; i++) image[k * s.I + i] += b[i];
        ACTIVATIONS[act.kind](image, image, (size_t)s.H * s.W * s.I, act.slope);
    });
}

void im2col_wgrad(const ConvShape& s, const float* dy, Given x, float* dw) {
    const float* windows = x.ready;
    if (!windows) {
        float* made = scratch_take(windows_numbers(s));
        make_windows(s, x.array, made);
        windows = made;
    }
    linear_wgrad(dy, windows, dw, s.N * s.P * s.Q, s.KH * s.KW * s.I, s.O);
}

// All entries of the windows, padding too; the data gradient adds the windows up.
Flops im2col_flops(const ConvShape& s, Pass pass) {
    return {2.0 * s.N * s.P * s.Q * s.KH * s.KW * s.I * s.O, pass == DGRAD ? touched_taps(s) * s.I : 0};
}

constexpr Conv IM2COL_CONV = {{[](const ConvShape&, Pass) -> size_t { return 0; }, nullptr}, {windows_numbers, make_windows},
                             im2col_forward, im2col_dgrad, im2col_wgrad, im2col_flops};
