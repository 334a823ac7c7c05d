/* Attention, caches, rotary embeddings, look-up. */
#include "core/dtype.h"
#include "kernels/plan.h"

/* ---- caches --------------------------------------------------------------------------------------------- */

/* Copies `value` into `cache`; both are values of the graph. */
static qvk_status plan_cache_update(qvk__planner *planner, int32_t value, int32_t cache, int64_t position,
                                    qvk_error *err)
{
    const qvk_tensor *from = planner->desc(planner, value);
    qvk__dispatch d = {.kernel = QVK__KERNEL_UPDATE_CACHE};
    qvk__cache_update update;

    QVK__TRY(qvk__cache_update_of(from, planner->desc(planner, cache), position, &update, err));
    const uint64_t run = (uint64_t)(update.length * update.row);
    const uint64_t in_word = 4 / qvk_dtype_bytes(qvk__device_dtype(from->dtype));
    const uint64_t words = qvk__div_up(run, in_word) + 1; /* one more when it begins inside a word */
    if (run * (uint64_t)update.batch == 0)
        return QVK_OK;
    qvk__dispatch_read(&d, qvk__ref_value(value));
    qvk__dispatch_write(&d, qvk__ref_value(cache));
    qvk__dispatch_spec(&d, qvk__device_dtype(from->dtype));
    qvk__dispatch_int(&d, update.batch);
    qvk__dispatch_uint(&d, run);
    qvk__dispatch_uint(&d, words);
    qvk__dispatch_int(&d, update.capacity * update.row);
    qvk__dispatch_int(&d, update.position * update.row);
    qvk__dispatch_groups(planner, &d, qvk__div_up((uint64_t)update.batch * words, 64));
    d.bytes = 2 * qvk__device_bytes(from);
    return planner->dispatch(planner, &d, err);
}

qvk_status qvk__plan_update_cache(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    int64_t position;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__arg_int(&call.args[2], "start_pos", &position, err));
    return plan_cache_update(planner, qvk__call_value(node, 0), qvk__call_value(node, 1), position, err);
}

/* ---- attention ------------------------------------------------------------------------------------------ */

/* Scores in flight take at most this much; longer prompts go through in pieces. */
#define SCORE_BYTES ((uint64_t)64 << 20)

/* The operands as values of the graph. */
typedef struct attention_call {
    qvk__attention shape;
    int32_t query, key, value, mask, out;
    qvk_dtype out_dtype;
    qvk__ref scores;
} attention_call;

/* Strides of a [B, S, H, D] or [B, H, S, D] tensor as batches (batch, head) of rows (sequence). */
static qvk__matrix heads_of(const qvk_tensor *tensor, int32_t value, bool heads_last)
{
    const uint64_t size = (uint64_t)tensor->sizes[3],
                   all = (uint64_t)(tensor->sizes[1] * tensor->sizes[2]) * size;
    const uint64_t row = heads_last ? (uint64_t)tensor->sizes[2] * size : size;
    const uint64_t head = heads_last ? size : (uint64_t)tensor->sizes[2] * size;

    return (qvk__matrix){qvk__ref_value(value), tensor->dtype, all, head, row};
}

/* A single query: the heads that share a key head become the rows of one product. */
static void gather_heads(qvk__product *product, uint64_t share, qvk__matrix *rows)
{
    product->inner /= share;
    product->share = 1;
    product->m = share;
    rows->row = rows->inner;
    rows->inner *= share;
}

/* Rows of scores are this far apart: the softmax fills them up with zeros. */
static uint64_t score_row(const qvk__attention *attention)
{
    return qvk__round_up((uint64_t)attention->keys, 8);
}

/* scores[b, h, i, j] = scale * q[b, h, first + i] . k[b, h, j]; and out = scores v. */
static qvk_status plan_products(qvk__planner *planner, const attention_call *c, bool second, uint64_t first,
                                uint64_t count, qvk_error *err)
{
    const qvk__attention *a = &c->shape;
    const uint64_t keys = (uint64_t)a->keys, row = score_row(a), share = (uint64_t)(a->heads / a->kv_heads);
    const qvk_tensor out = {
        .rank = 4,
        .sizes = {a->query->sizes[0], a->query->sizes[1], a->query->sizes[2], a->value_dim},
        .dtype = c->out_dtype};
    qvk__matrix scores = {c->scores, QVK_DTYPE_F32, (uint64_t)a->heads * count * row, count * row, row};
    qvk__matrix vectors =
        second ? heads_of(&out, c->out, a->heads_last) : heads_of(a->query, c->query, a->heads_last);
    qvk__product product = second ? qvk__product_of(count, (uint64_t)a->value_dim, keys)
                                  : qvk__product_of(count, keys, (uint64_t)a->head_dim);
    const uint64_t skip = first * vectors.row;

    product.outer = (uint64_t)a->batch;
    product.inner = (uint64_t)a->heads;
    product.share = share;
    product.b =
        second ? heads_of(a->value, c->value, a->heads_last) : heads_of(a->key, c->key, a->heads_last);
    product.b_rows_are_k = second;
    product.a_padded = second;
    product.alpha = second ? 1 : (float)a->scale;
    if (a->queries == 1) {
        gather_heads(&product, share, &vectors);
        scores.row = scores.inner;
        scores.inner *= share;
    }
    product.a = second ? scores : vectors;
    product.c = second ? vectors : scores;
    *(second ? &product.c_skip : &product.a_skip) = skip;
    return qvk__plan_product(planner, &product, err);
}

/* ATTENTION_MASK_PARAMS of shaders/lib/attention_mask.glsl. */
static void add_mask(const qvk__attention *attention, qvk__dispatch *d)
{
    qvk__dispatch_int(d, attention->first_key + 1);
    for (int i = 0; i < 4; i++)
        qvk__dispatch_int(d, attention->mask_strides[i]);
}

static qvk_status plan_masked_softmax(qvk__planner *planner, const attention_call *c, uint64_t first,
                                      uint64_t count, qvk_error *err)
{
    const qvk__attention *a = &c->shape;
    const uint64_t rows = (uint64_t)(a->batch * a->heads) * count, n = (uint64_t)a->keys;
    qvk__dispatch d = {.kernel = QVK__KERNEL_SOFTMAX_MASKED, .bytes = 8 * rows * n, .ops = 5 * rows * n};

    qvk__dispatch_read(&d, a->mask ? qvk__ref_value(c->mask) : qvk__ref_value(c->query));
    qvk__dispatch_write(&d, c->scores);
    qvk__dispatch_spec(&d, qvk__row_group(planner, n / 4));
    qvk__dispatch_spec(&d, QVK_DTYPE_F32);
    qvk__dispatch_spec(&d, QVK_DTYPE_F32);
    qvk__dispatch_spec(&d, false);
    qvk__dispatch_spec(&d, a->mask ? qvk__device_dtype(a->mask->dtype) : QVK_DTYPE_NONE);
    qvk__dispatch_spec(&d, a->causal);
    qvk__dispatch_uint(&d, rows);
    qvk__dispatch_uint(&d, n);
    qvk__dispatch_uint(&d, 1);
    qvk__dispatch_uint(&d, score_row(a));
    qvk__dispatch_int(&d, a->heads);
    qvk__dispatch_uint(&d, count);
    qvk__dispatch_uint(&d, first);
    add_mask(a, &d);
    qvk__dispatch_groups(planner, &d, rows);
    return planner->dispatch(planner, &d, err);
}

/* Products, softmax, products, in pieces of queries. Scratch and pieces go by the keys there may be, so that
 * a growing cache changes parameters only. */
static qvk_status plan_composed(qvk__planner *planner, attention_call *c, qvk_error *err)
{
    const qvk__attention *a = &c->shape;
    const uint64_t queries = (uint64_t)a->queries,
                   limit = QVK__MIN(SCORE_BYTES, planner->caps->max_storage_range);
    const uint64_t row_bytes =
        (uint64_t)(a->batch * a->heads) * qvk__round_up((uint64_t)QVK__MAX(a->capacity, 1), 8) * 4;
    const uint64_t piece = QVK__MIN(queries, QVK__MAX(limit / row_bytes, 1));

    QVK__TRY(planner->scratch(planner, piece * row_bytes, &c->scores, err));
    for (uint64_t first = 0; first < queries; first += piece) {
        const uint64_t count = QVK__MIN(piece, queries - first);
        QVK__TRY(plan_products(planner, c, false, first, count, err));
        QVK__TRY(plan_masked_softmax(planner, c, first, count, err));
        QVK__TRY(plan_products(planner, c, true, first, count, err));
    }
    return QVK_OK;
}

/* ---- few queries ---------------------------------------------------------------------------------------- */

/* Of attention_decode.comp. */
#define DECODE_CHUNK    128
#define DECODE_MAX_ROWS 8
#define DECODE_MAX_HEAD 256

static bool fits_decode(const qvk__planner *planner, const qvk__attention *a)
{
    return !qvk__is_vector8(planner) && a->queries * (a->heads / a->kv_heads) <= DECODE_MAX_ROWS &&
           a->head_dim <= DECODE_MAX_HEAD && a->head_dim % 4 == 0 && a->value_dim % 4 == 0;
}

static void add_heads(qvk__dispatch *d, const qvk_tensor *tensor, bool heads_last)
{
    const qvk__matrix matrix = heads_of(tensor, 0, heads_last);

    qvk__dispatch_uint(d, matrix.outer);
    qvk__dispatch_uint(d, matrix.inner);
    qvk__dispatch_uint(d, matrix.row);
}

static qvk_status plan_parts(qvk__planner *planner, const attention_call *c, uint64_t chunks, qvk_error *err)
{
    const qvk__attention *a = &c->shape;
    const uint64_t rows = (uint64_t)(a->queries * (a->heads / a->kv_heads));
    qvk__dispatch d = {.kernel = QVK__KERNEL_ATTENTION_DECODE};

    qvk__dispatch_read(&d, qvk__ref_value(c->query));
    qvk__dispatch_read(&d, qvk__ref_value(c->key));
    qvk__dispatch_read(&d, qvk__ref_value(c->value));
    qvk__dispatch_read(&d, qvk__ref_value(a->mask ? c->mask : c->query));
    qvk__dispatch_write(&d, c->scores);
    qvk__dispatch_spec(&d, qvk__device_dtype(a->query->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(a->key->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(a->value->dtype));
    qvk__dispatch_spec(&d, a->mask ? qvk__device_dtype(a->mask->dtype) : QVK_DTYPE_NONE);
    qvk__dispatch_spec(&d, a->causal);
    qvk__dispatch_spec(&d, (uint32_t)rows);
    qvk__dispatch_int(&d, a->batch);
    qvk__dispatch_int(&d, a->kv_heads);
    qvk__dispatch_int(&d, a->heads / a->kv_heads);
    qvk__dispatch_int(&d, a->keys);
    qvk__dispatch_uint(&d, chunks);
    qvk__dispatch_int(&d, a->head_dim);
    qvk__dispatch_int(&d, a->value_dim);
    add_heads(&d, a->query, a->heads_last);
    add_heads(&d, a->key, a->heads_last);
    add_heads(&d, a->value, a->heads_last);
    qvk__dispatch_float(&d, (float)a->scale);
    add_mask(a, &d);
    const uint64_t elements = (uint64_t)(a->batch * a->kv_heads * a->keys);
    d.bytes = elements * (uint64_t)a->head_dim * qvk_dtype_bytes(a->key->dtype) +
              elements * (uint64_t)a->value_dim * qvk_dtype_bytes(a->value->dtype);
    d.ops = 2 * elements * rows * (uint64_t)(a->head_dim + a->value_dim);
    qvk__dispatch_groups(planner, &d, (uint64_t)(a->batch * a->kv_heads) * chunks);
    return planner->dispatch(planner, &d, err);
}

static qvk_status plan_combination(qvk__planner *planner, const attention_call *c, uint64_t chunks,
                                   qvk_error *err)
{
    const qvk__attention *a = &c->shape;
    const qvk_tensor *y = planner->desc(planner, c->out);
    const uint64_t rows = (uint64_t)(a->batch * a->heads * a->queries);
    qvk__dispatch d = {.kernel = QVK__KERNEL_ATTENTION_COMBINE};

    qvk__dispatch_read(&d, c->scores);
    qvk__dispatch_write(&d, qvk__ref_value(c->out));
    qvk__dispatch_spec(&d, qvk__device_dtype(y->dtype));
    qvk__dispatch_uint(&d, rows);
    qvk__dispatch_uint(&d, chunks);
    qvk__dispatch_int(&d, a->value_dim);
    qvk__dispatch_int(&d, a->kv_heads);
    qvk__dispatch_int(&d, a->heads / a->kv_heads);
    qvk__dispatch_int(&d, a->queries * (a->heads / a->kv_heads));
    add_heads(&d, y, a->heads_last);
    d.bytes = rows * chunks * (uint64_t)(a->value_dim + 2) * 4;
    d.ops = 2 * rows * chunks * (uint64_t)a->value_dim;
    qvk__dispatch_groups(planner, &d, rows);
    return planner->dispatch(planner, &d, err);
}

/* A few query rows: work groups share the keys out, and what they find is put together. */
static qvk_status plan_decode(qvk__planner *planner, attention_call *c, qvk_error *err)
{
    const qvk__attention *a = &c->shape;
    const uint64_t rows = (uint64_t)(a->batch * a->heads * a->queries),
                   part = (uint64_t)(a->value_dim + 2) * 4;
    const uint64_t most = qvk__div_up((uint64_t)a->capacity, DECODE_CHUNK);
    const uint64_t chunks = qvk__div_up((uint64_t)a->keys, DECODE_CHUNK);

    QVK__TRY(planner->scratch(planner, rows * most * part, &c->scores, err));
    QVK__TRY(plan_parts(planner, c, chunks, err));
    return plan_combination(planner, c, chunks, err);
}

qvk_status qvk__plan_sdpa(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    const bool cached = node->op == QVK__OP_LLAMA_SDPA_WITH_KV_CACHE;
    const int key = cached ? 3 : 1, mask = node->op == QVK__OP_ET_SDPA ? 3 : cached ? 7 : 4;
    attention_call c = {
        .query = qvk__call_value(node, 0),
        .key = qvk__call_value(node, key),
        .value = qvk__call_value(node, key + 1),
        .mask = qvk__call_value(node, mask),
        .out = node->outs[0],
    };
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__attention_of(node->op, call.args, call.n_args, &c.shape, err));
    const qvk__attention *a = &c.shape;
    QVK__TRY(qvk__check_float(a->query, err));
    QVK__TRY(qvk__check_float(a->key, err));
    QVK__TRY(qvk__check_float(a->value, err));
    c.out_dtype = qvk__call_out(planner, node, 0)->dtype;
    if (cached) {
        QVK__TRY(plan_cache_update(planner, qvk__call_value(node, 1), c.key, a->first_key, err));
        QVK__TRY(plan_cache_update(planner, qvk__call_value(node, 2), c.value, a->first_key, err));
    }
    if (a->batch * a->heads * a->queries * a->keys == 0)
        return QVK_OK;
    return fits_decode(planner, a) ? plan_decode(planner, &c, err) : plan_composed(planner, &c, err);
}

/* ---- rotary embeddings ---------------------------------------------------------------------------------- */

/* Before the first dispatch: a planner that refuses must not have begun. */
static qvk_status check_rotary_types(const qvk__call *call, int n, int cosines, int sines, qvk_error *err)
{
    const qvk_tensor *table = call->args[cosines].u.tensor;

    for (int i = 0; i < n; i++)
        QVK__TRY(qvk__check_float(call->args[i].u.tensor, err));
    QVK__TRY(qvk__check_float(table, err));
    QVK__CHECK(table->dtype == call->args[sines].u.tensor->dtype, err, QVK_UNSUPPORTED,
               "rotary tables of two types");
    return QVK_OK;
}

/* One tensor through rotary.comp; the tables are arguments `cosines` and `sines`. */
static qvk_status plan_rotation(qvk__planner *planner, const qvk__call *call, int index, int cosines,
                                int sines, const qvk__rotary *rotary, int64_t heads, qvk_error *err)
{
    const qvk__node *node = call->node;
    const qvk_tensor *x = call->args[index].u.tensor, *y = qvk__call_out(planner, node, index);
    const qvk_tensor *table = call->args[cosines].u.tensor;
    qvk__dispatch d = {.kernel = QVK__KERNEL_ROTARY};

    if (!y || qvk_tensor_numel(y) == 0)
        return QVK_OK;
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, index)));
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, cosines)));
    qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, sines)));
    qvk__dispatch_write(&d, qvk__ref_value(node->outs[index]));
    qvk__dispatch_spec(&d, qvk__device_dtype(x->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(table->dtype));
    qvk__dispatch_spec(&d, qvk__device_dtype(y->dtype));
    qvk__dispatch_spec(&d, rotary->halves);
    qvk__dispatch_spec(&d, cosines == sines);
    qvk__dispatch_words(planner, &d, y);
    qvk__dispatch_int(&d, rotary->length);
    qvk__dispatch_int(&d, heads);
    qvk__dispatch_int(&d, rotary->head_dim);
    qvk__dispatch_int(&d, rotary->rotated);
    qvk__dispatch_int(&d, rotary->position);
    d.bytes = qvk__device_bytes(x) + qvk__device_bytes(y);
    d.ops = 3 * (uint64_t)qvk_tensor_numel(y);
    return planner->dispatch(planner, &d, err);
}

qvk_status qvk__plan_rotary(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__rotary rotary;
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    QVK__TRY(qvk__rotary_of(node->op, call.args, call.n_args, &rotary, err));
    QVK__TRY(check_rotary_types(&call, 2, 2, 3, err));
    QVK__TRY(plan_rotation(planner, &call, 0, 2, 3, &rotary, rotary.heads, err));
    return plan_rotation(planner, &call, 1, 2, 3, &rotary, rotary.kv_heads, err);
}

qvk_status qvk__plan_rotary_interleaved(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    qvk__call call;

    QVK__TRY(qvk__call_of(planner, node, &call, err));
    const qvk_tensor *x = call.args[0].u.tensor, *table = call.args[1].u.tensor;
    QVK__CHECK(x->rank == 3 && x->sizes[2] % 2 == 0 && qvk_tensor_numel(table) == x->sizes[1] * x->sizes[2],
               err, QVK_SHAPE, "rotary table %s does not fit %s", qvk__shape_text(table).text,
               qvk__shape_text(x).text);
    const qvk__rotary rotary = {
        .batch = x->sizes[0], .length = x->sizes[1], .head_dim = x->sizes[2], .rotated = x->sizes[2]};
    QVK__TRY(check_rotary_types(&call, 1, 1, 1, err));
    return plan_rotation(planner, &call, 0, 1, 1, &rotary, 1, err);
}

/* ---- look-up -------------------------------------------------------------------------------------------- */

qvk_status qvk__plan_embedding(qvk__planner *planner, const qvk__node *node, qvk_error *err)
{
    const uint64_t limit = planner->caps->max_storage_range;
    qvk__call call;

    QVK__TRY(qvk__call_of_large(planner, node, 1u << 0, &call, err));
    const qvk_tensor *table = call.args[0].u.tensor, *indices = call.args[1].u.tensor;
    const qvk_tensor *y = qvk__call_out(planner, node, 0);
    const qvk_dtype dtype = qvk__device_dtype(table->dtype);
    const uint64_t rows = (uint64_t)table->sizes[0],
                   row_bytes = (uint64_t)table->sizes[1] * qvk_dtype_bytes(dtype);
    QVK__CHECK(qvk__device_dtype(indices->dtype) == QVK_DTYPE_I32, err, QVK_UNSUPPORTED, "indices of %s",
               qvk_dtype_name(indices->dtype));
    if (qvk_tensor_numel(y) == 0)
        return QVK_OK;
    /* Pieces of a multiple of 256 bytes; a word of the result must then lie within one row. */
    const uint64_t piece = rows * row_bytes <= limit ? rows : limit / row_bytes / 256 * 256;
    QVK__CHECK(piece > 0 && (piece == rows || row_bytes % 4 == 0), err, QVK_UNSUPPORTED,
               "rows of %llu bytes in a table of %s", (unsigned long long)row_bytes,
               qvk__shape_text(table).text);
    for (uint64_t first = 0; first < rows; first += piece) {
        const uint64_t count = QVK__MIN(piece, rows - first);
        qvk__ref part = qvk__ref_value(qvk__call_value(node, 0));
        qvk__dispatch d = {.kernel = QVK__KERNEL_EMBEDDING, .bytes = 2 * qvk__device_bytes(y)};
        part.offset = first * row_bytes;
        part.bytes = piece == rows ? 0 : count * row_bytes;
        qvk__dispatch_read(&d, part);
        qvk__dispatch_read(&d, qvk__ref_value(qvk__call_value(node, 1)));
        qvk__dispatch_write(&d, qvk__ref_value(node->outs[0]));
        qvk__dispatch_spec(&d, dtype);
        qvk__dispatch_words(planner, &d, y);
        qvk__dispatch_int(&d, table->sizes[1]);
        qvk__dispatch_uint(&d, first);
        qvk__dispatch_uint(&d, count);
        qvk__dispatch_uint(&d, rows);
        QVK__TRY(planner->dispatch(planner, &d, err));
    }
    return QVK_OK;
}
