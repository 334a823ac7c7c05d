#include "runtime/probe_linear.h"

#include <math.h>

#include "reference/reference.h"

/* ---- numbers -------------------------------------------------------------------------------------------- */

/* George Marsaglia's xorshift of 32 bits. */
static uint32_t next_word(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Rows of q - zero_point for q from -128 to 127: the scale of a row comes out as the power of two it has. */
static void fill_activations(qvk_tensor *x, uint32_t *state)
{
    enum { LOWEST = -100, HIGHEST = LOWEST + 255 };
    const int64_t K = x->sizes[1];

    for (int64_t m = 0; m < x->sizes[0]; m++)
        for (int64_t k = 0; k < K; k++) {
            const int q = k == m ? LOWEST : k == m + 7 ? HIGHEST : LOWEST + (int)(next_word(state) >> 24);
            qvk__reference_set(x, m * K + k, ldexp(q, m % 2 ? -5 : -6));
        }
}

static void fill_weights(qvk_tensor *weights, uint32_t *state)
{
    const uint64_t bytes = qvk_tensor_bytes(weights);
    uint8_t *to = weights->data;

    for (uint64_t i = 0; i < bytes; i += 4) {
        const uint32_t word = next_word(state);
        memcpy(to + i, &word, QVK__MIN(4, bytes - i));
    }
}

/* Powers of two such that weights are of size about one, different for neighbours. */
static void fill_scales(qvk_tensor *scales, int bits)
{
    for (int64_t i = 0; i < qvk_tensor_numel(scales); i++)
        qvk__reference_set(scales, i, ldexp(1.0, (i % 3 ? 0 : 1) - bits));
}

static void fill_bias(qvk_tensor *bias)
{
    for (int64_t i = 0; i < qvk_tensor_numel(bias); i++)
        qvk__reference_set(bias, i, (double)(i % 11) - 5.0);
}

double qvk__probe_linear_tolerance(const qvk__probe_linear *linear)
{
    return linear->x == QVK_DTYPE_F16 ? 2e-3 : 1e-5;
}

int64_t qvk__probe_linear_differs(const qvk_tensor *result, const qvk_tensor *wanted, double tolerance)
{
    const int64_t n = qvk_tensor_numel(wanted);
    double largest = 0.0;

    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(qvk__reference_get(wanted, i)));
    for (int64_t i = 0; i < n; i++) {
        const double distance = fabs(qvk__reference_get(result, i) - qvk__reference_get(wanted, i));
        if (!(distance <= tolerance * largest)) /* NaN differs */
            return i;
    }
    return -1;
}

/* ---- the graph ------------------------------------------------------------------------------------------ */

/* Memory of its own, in the graph's arena. */
static qvk_status add_tensor(qvk__graph *graph, const char *name, qvk_dtype dtype, int64_t rows,
                             int64_t columns, qvk_tensor *out, int32_t *value, qvk_error *err)
{
    qvk_tensor desc = {.dtype = dtype, .rank = 2, .sizes = {rows, columns}};

    *value = qvk__graph_add_value(graph, name, &desc);
    desc.data = qvk__arena_alloc(&graph->arena, qvk_tensor_bytes(&desc), 1);
    QVK__CHECK(desc.data && *value >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    *out = desc;
    return QVK_OK;
}

static qvk_status add_constant(qvk__graph *graph, const char *name, qvk_dtype dtype, int64_t rows,
                               int64_t columns, qvk_tensor *out, int32_t *value, qvk_error *err)
{
    qvk__constant *constant = qvk__arena_alloc(&graph->arena, 1, sizeof *constant);

    QVK__CHECK(constant, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(add_tensor(graph, name, dtype, rows, columns, out, value, err));
    *constant = (qvk__constant){.data = out->data, .bytes = qvk_tensor_bytes(out), .name = name};
    graph->values.data[*value].constant = constant;
    return QVK_OK;
}

qvk_status qvk__probe_linear_input(qvk__graph *graph, const qvk__probe_linear *linear, qvk_value *input,
                                   int32_t *x, qvk_error *err)
{
    uint32_t state = 1;

    input->kind = QVK_VALUE_TENSOR;
    QVK__TRY(add_tensor(graph, "x", linear->x, linear->M, linear->K, &input->tensor, x, err));
    QVK__CHECK(QVK__VEC_PUSH(&graph->inputs, *x), err, QVK_OUT_OF_MEMORY, "out of memory");
    fill_activations(&input->tensor, &state);
    return QVK_OK;
}

static qvk__op operator_of(const qvk__probe_linear *linear)
{
    if (linear->is_int8)
        return linear->bits == 4 ? QVK__OP_QVK_LINEAR_D8_Q4GSW : QVK__OP_QVK_LINEAR_D8_Q8GSW;
    return linear->bits == 4 ? QVK__OP_ET_LINEAR_Q4GSW : QVK__OP_QVK_LINEAR_Q8GSW;
}

qvk_status qvk__probe_linear_add(qvk__graph *graph, const qvk__probe_linear *linear, int32_t x,
                                 const char *name, qvk_error *err)
{
    const qvk_tensor y = {.dtype = linear->x, .rank = 2, .sizes = {linear->M, linear->N}};
    const qvk_dtype stored = linear->bits == 4 ? QVK_DTYPE_U8 : QVK_DTYPE_I8;
    uint32_t state = 2;
    qvk_tensor weights, scales, bias;
    int32_t w, s, b;

    QVK__TRY(
        add_constant(graph, "weights", stored, linear->N, linear->K * linear->bits / 8, &weights, &w, err));
    QVK__TRY(
        add_constant(graph, "scales", linear->x, linear->K / linear->group, linear->N, &scales, &s, err));
    QVK__TRY(add_constant(graph, "bias", linear->x, 1, linear->N, &bias, &b, err));
    fill_weights(&weights, &state);
    fill_scales(&scales, linear->bits);
    fill_bias(&bias);
    const qvk__arg args[] = {qvk__arg_from_value(x), qvk__arg_from_value(w), qvk__arg_from_value(s),
                             qvk__arg_from_int(linear->group), qvk__arg_from_value(b)};
    const int32_t out = qvk__graph_add_value(graph, name, &y);
    QVK__CHECK(out >= 0 &&
                   qvk__graph_add_node(graph, operator_of(linear), NULL, args, QVK__COUNT(args), &out, 1) >=
                       0 &&
                   QVK__VEC_PUSH(&graph->outputs, out),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}
