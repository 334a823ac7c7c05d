#include "linear_layer.h"

#include <math.h>

#include "core/dtype.h"
#include "core/semantics.h"
#include "reference/reference.h"

#define SAMPLE_ROWS    4
#define SAMPLE_COLUMNS 16

const scheme linear_schemes[4] = {{"4w", 4, false}, {"8w", 8, false}, {"8da4w", 4, true}, {"8da8w", 8, true}};

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static float random_float(void)
{
    return (float)(random_bits() >> 40) / 8388608.0f - 1.0f;
}

/* ---- building a layer ----------------------------------------------------------------------------------- */

static void set_tensor(qvk_tensor *t, qvk_dtype dtype, int rank, int64_t a, int64_t b, bool allocate)
{
    *t = (qvk_tensor){.dtype = dtype, .rank = rank, .sizes = {a, b}};
    if (allocate)
        t->data = qvk__alloc_zeroed(qvk_tensor_bytes(t) + 64, 1);
}

static void fill(layer *l)
{
    for (int64_t i = 0; i < l->M * l->K; i++)
        qvk__reference_set(&l->values[LAYER_X], i, (double)random_float());
    for (int64_t i = 0; i < l->K; i++)
        qvk__reference_set(&l->values[LAYER_NORM], i, 1.0 + 0.5 * (double)random_float());
    uint64_t *words = l->values[LAYER_WEIGHTS].data;
    for (uint64_t i = 0; i < qvk_tensor_bytes(&l->values[LAYER_WEIGHTS]) / 8; i++)
        words[i] = random_bits();
    for (int64_t i = 0; i < qvk_tensor_numel(&l->values[LAYER_SCALES]); i++)
        qvk__reference_set(
            &l->values[LAYER_SCALES], i,
            (double)((1.5f + random_float()) / (l->scheme->bits == 4 ? 4.0f : 64.0f) / sqrtf((float)l->K)));
}

/* Operators by [dynamic][8 bits], as in a loaded program: the dynamic ones choose their scales. */
static const qvk__op ops[2][2] = {{QVK__OP_ET_LINEAR_Q4GSW, QVK__OP_QVK_LINEAR_Q8GSW},
                                  {QVK__OP_QVK_LINEAR_D8_Q4GSW, QVK__OP_QVK_LINEAR_D8_Q8GSW}};

static const qvk__op fused_ops[2][2] = {
    {QVK__OP_QVK_FUSED_LINEAR_Q4GSW, QVK__OP_QVK_FUSED_LINEAR_Q8GSW},
    {QVK__OP_QVK_FUSED_LINEAR_D8_Q4GSW, QVK__OP_QVK_FUSED_LINEAR_D8_Q8GSW}};

static void add_linear(layer *l)
{
    qvk__arg args[QVK__FUSED_ARGS] = {qvk__arg_from_value(LAYER_X), qvk__arg_from_value(LAYER_WEIGHTS),
                                      qvk__arg_from_value(LAYER_SCALES),
                                      qvk__arg_from_int(l->group ? l->group : l->K)};
    const bool dynamic = l->scheme->dynamic, is_8bit = l->scheme->bits == 8;
    const int32_t y = LAYER_Y;

    args[QVK__FUSED_NORM_WEIGHT] = qvk__arg_from_value(LAYER_NORM);
    args[QVK__FUSED_NORM_EPS] = qvk__arg_from_float(1e-5);
    args[QVK__FUSED_NORM_ROUNDING] = qvk__arg_from_int(QVK__RMS_ROUND_NORMALIZED);
    qvk__graph_add_node(&l->graph, (l->norm ? fused_ops : ops)[dynamic][is_8bit], "linear", args,
                        l->norm ? QVK__FUSED_ARGS : 5, &y, 1);
}

void layer_make(layer *l, const scheme *s, qvk_dtype act, int64_t M, int64_t N, int64_t K, int64_t group,
                bool norm)
{
    *l = (layer){.scheme = s, .M = M, .N = N, .K = K, .group = group, .act = act, .norm = norm};
    const int64_t groups = group ? (K + group - 1) / group : 1;
    set_tensor(&l->values[LAYER_X], act, 2, M, K, true);
    set_tensor(&l->values[LAYER_WEIGHTS], s->bits == 4 ? QVK_DTYPE_U8 : QVK_DTYPE_I8, 2, N,
               s->bits == 4 ? (K + 7) / 8 * 4 : K, true);
    set_tensor(&l->values[LAYER_SCALES], QVK_DTYPE_F32, 2, groups, N, true);
    set_tensor(&l->values[LAYER_NORM], act, 1, K, 0, true);
    set_tensor(&l->values[LAYER_Y], act, 2, M, N, false);
    fill(l);
    qvk__graph_init(&l->graph);
    for (int i = 0; i < LAYER_N_VALUES; i++) {
        qvk__graph_add_value(&l->graph, NULL, &l->values[i]);
        if (i == LAYER_WEIGHTS || i == LAYER_SCALES) {
            l->constants[i] =
                (qvk__constant){.data = l->values[i].data, .bytes = qvk_tensor_bytes(&l->values[i])};
            l->graph.values.data[i].constant = &l->constants[i];
        }
    }
    add_linear(l);
}

void layer_free(layer *l)
{
    for (int i = 0; i < LAYER_N_VALUES; i++)
        free(l->values[i].data);
    qvk__graph_finish(&l->graph);
}

/* ---- sizes ---------------------------------------------------------------------------------------------- */

uint64_t layer_bytes(const layer *l)
{
    const uint64_t weights = (uint64_t)(l->N * l->K * l->scheme->bits / 8);

    return weights + qvk_tensor_bytes(&l->values[LAYER_SCALES]) + qvk_tensor_bytes(&l->values[LAYER_X]) +
           qvk_tensor_bytes(&l->values[LAYER_Y]);
}

double layer_ops(const layer *l)
{
    return 2.0 * (double)l->M * (double)l->N * (double)l->K;
}

/* ---- checking a sample ---------------------------------------------------------------------------------- */

/* The layer cut down to a few rows and neighbouring columns, for the reference. */
static void cut_layer(const layer *l, const int64_t *rows, int64_t n_rows, int64_t first, int64_t columns,
                      layer *small)
{
    layer_make(small, l->scheme, l->act, n_rows, columns, l->K, l->group, l->norm);
    memcpy(small->values[LAYER_NORM].data, l->values[LAYER_NORM].data,
           qvk_tensor_bytes(&l->values[LAYER_NORM]));
    const size_t row_bytes = (size_t)l->K * qvk_dtype_bytes(l->act);
    const size_t weight_bytes = qvk_tensor_bytes(&l->values[LAYER_WEIGHTS]) / (size_t)l->N;
    for (int64_t i = 0; i < n_rows; i++)
        memcpy((char *)small->values[LAYER_X].data + (size_t)i * row_bytes,
               (const char *)l->values[LAYER_X].data + (size_t)rows[i] * row_bytes, row_bytes);
    memcpy(small->values[LAYER_WEIGHTS].data,
           (const char *)l->values[LAYER_WEIGHTS].data + (size_t)first * weight_bytes,
           (size_t)columns * weight_bytes);
    for (int64_t g = 0; g < l->values[LAYER_SCALES].sizes[0]; g++)
        memcpy((float *)small->values[LAYER_SCALES].data + g * columns,
               (const float *)l->values[LAYER_SCALES].data + g * l->N + first, (size_t)columns * 4);
    small->values[LAYER_Y].data = qvk__alloc_zeroed(qvk_tensor_bytes(&small->values[LAYER_Y]) + 16, 1);
}

static qvk_status run_reference(layer *l, qvk_error *err)
{
    for (size_t i = 0; i < l->graph.nodes.count; i++) {
        const qvk__node *node = &l->graph.nodes.data[i];
        qvk__arg args[QVK__MAX_PARAMS];
        qvk_tensor outs[2];
        for (int32_t a = 0; a < node->n_args; a++) {
            args[a] = node->args[a];
            if (args[a].kind == QVK__ARG_VALUE)
                args[a] = (qvk__arg){.kind = QVK__ARG_TENSOR, .u.tensor = &l->values[node->args[a].u.value]};
        }
        for (int32_t o = 0; o < node->n_outs; o++)
            outs[o] = l->values[node->outs[o]];
        QVK__TRY(qvk__reference_run(node->op, args, node->n_args, outs, node->n_outs, err));
    }
    return QVK_OK;
}

qvk_status layer_error(const layer *l, const void *y, double *out, qvk_error *err)
{
    const int64_t columns = QVK__MIN(l->N, SAMPLE_COLUMNS);
    const int64_t firsts[] = {0, (l->N - columns) / 2, l->N - columns};
    int64_t rows[SAMPLE_ROWS], n_rows = QVK__MIN(l->M, SAMPLE_ROWS);
    qvk_tensor all = l->values[LAYER_Y];
    double worst = 0, largest = 0;

    for (int64_t i = 0; i < n_rows; i++)
        rows[i] = n_rows > 1 ? i * (l->M - 1) / (n_rows - 1) : 0;
    all.data = (void *)(uintptr_t)y;
    for (size_t f = 0; f < QVK__COUNT(firsts); f++) {
        layer small;
        cut_layer(l, rows, n_rows, firsts[f], columns, &small);
        const qvk_status status = run_reference(&small, err);
        for (int64_t i = 0; status == QVK_OK && i < n_rows * columns; i++) {
            const double expected = qvk__reference_get(&small.values[LAYER_Y], i);
            const double actual =
                qvk__reference_get(&all, rows[i / columns] * l->N + firsts[f] + i % columns);
            worst = fmax(worst, isfinite(actual) ? fabs(actual - expected) : INFINITY);
            largest = fmax(largest, fabs(expected));
        }
        layer_free(&small);
        QVK__TRY(status);
    }
    *out = largest > 0 ? worst / largest : worst;
    return QVK_OK;
}
