/* Values on the host: memory, shape inference, and running one node on the reference. */
#include "runtime/host.h"

#include <stdio.h>

#include "core/dtype.h"
#include "reference/reference.h"

enum { MAX_OUTS = 256 };

qvk__node_label qvk__node_label_of(const qvk__graph *graph, size_t index)
{
    const qvk__node *node = &graph->nodes.data[index];
    qvk__node_label label;
    int used = snprintf(label.text, sizeof label.text, "node %zu %s", index,
                        node->target ? node->target : qvk__op_name(node->op));

    if (node->name && used > 0 && (size_t)used < sizeof label.text)
        snprintf(label.text + used, sizeof label.text - (size_t)used, " (%s)", node->name);
    return label;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

qvk_status qvk__host_init(qvk__host *host, const qvk__graph *graph, qvk_error *err)
{
    const size_t n = graph->values.count;

    memset(host, 0, sizeof *host);
    host->graph = graph;
    host->tensors = qvk__alloc_zeroed(n, sizeof *host->tensors);
    host->symbols = qvk__alloc_zeroed(n, sizeof *host->symbols);
    host->known = qvk__alloc_zeroed(n, sizeof *host->known);
    host->owned = qvk__alloc_zeroed(n, sizeof *host->owned);
    host->capacity = qvk__alloc_zeroed(n, sizeof *host->capacity);
    if (!host->tensors || !host->symbols || !host->known || !host->owned || !host->capacity) {
        qvk__host_finish(host);
        return qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory for %zu values", n);
    }
    for (size_t i = 0; i < n; i++) {
        host->tensors[i] = graph->values.data[i].desc;
        host->tensors[i].data = NULL;
        host->symbols[i] = graph->values.data[i].symbol_value;
    }
    return QVK_OK;
}

void qvk__host_finish(qvk__host *host)
{
    if (host->owned)
        for (size_t i = 0; i < host->graph->values.count; i++)
            free(host->owned[i]);
    free(host->tensors);
    free(host->symbols);
    free(host->known);
    free(host->owned);
    free(host->capacity);
    qvk__arena_free(&host->arena);
    memset(host, 0, sizeof *host);
}

qvk_status qvk__host_reserve(qvk__host *host, int32_t value, qvk_error *err)
{
    qvk_tensor *tensor = &host->tensors[value];
    const uint64_t bytes = qvk_tensor_bytes(tensor);

    if (!host->owned[value] || host->capacity[value] < bytes) {
        void *memory = qvk__alloc_zeroed(bytes, 1);
        QVK__CHECK(memory, err, QVK_OUT_OF_MEMORY, "%s: out of host memory for %llu bytes",
                   host->graph->values.data[value].name, (unsigned long long)bytes);
        free(host->owned[value]);
        host->owned[value] = memory;
        host->capacity[value] = bytes;
    }
    tensor->data = host->owned[value];
    return QVK_OK;
}

void qvk__host_release(qvk__host *host, int32_t value)
{
    free(host->owned[value]);
    host->owned[value] = NULL;
    host->capacity[value] = 0;
    host->tensors[value].data = NULL;
}

/* Initial bytes of a constant into memory of our own. */
static qvk_status copy_constant(qvk__host *host, int32_t value, const void *bytes, qvk_error *err)
{
    QVK__TRY(qvk__host_reserve(host, value, err));
    if (qvk_tensor_bytes(&host->tensors[value]) > 0)
        memcpy(host->owned[value], bytes, qvk_tensor_bytes(&host->tensors[value]));
    return QVK_OK;
}

static qvk_status load_constant(qvk__host *host, int32_t value, qvk_error *err)
{
    const qvk__value *info = &host->graph->values.data[value];
    const qvk__constant *constant = info->constant;
    const size_t align = QVK__MAX(qvk_dtype_bytes(info->desc.dtype), (size_t)1);
    const bool borrow =
        constant->data && !constant->strided && !info->is_mutable && (uintptr_t)constant->data % align == 0;
    const void *bytes;
    qvk_status status = QVK_OK;

    host->tensors[value] = info->desc;
    QVK__CHECK(constant->bytes >= qvk_tensor_bytes(&info->desc), err, QVK_BAD_FORMAT,
               "constant %s: %llu bytes for %s%s", info->name, (unsigned long long)constant->bytes,
               qvk_dtype_name(info->desc.dtype), qvk__shape_text(&info->desc).text);
    QVK__TRY(qvk__constant_bytes(constant, &bytes, err));
    if (borrow)
        host->tensors[value].data = (void *)(uintptr_t)bytes;
    else
        status = copy_constant(host, value, bytes, err);
    qvk__constant_release(constant, bytes);
    return status;
}

qvk_status qvk__host_constant(qvk__host *host, int32_t value, qvk_error *err)
{
    return host->tensors[value].data ? QVK_OK : load_constant(host, value, err);
}

qvk_status qvk__host_reset(qvk__host *host, qvk_error *err)
{
    for (size_t i = 0; i < host->graph->values.count; i++) {
        const qvk__value *value = &host->graph->values.data[i];
        if (value->constant && value->is_mutable && host->tensors[i].data)
            QVK__TRY(load_constant(host, (int32_t)i, err));
    }
    return QVK_OK;
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

static const qvk_tensor *resolve_tensor(void *user, int32_t value)
{
    const qvk__host *host = user;
    return host->graph->values.data[value].kind == QVK__VALUE_TENSOR ? &host->tensors[value] : NULL;
}

static int64_t resolve_symbol(void *user, int32_t value)
{
    return ((const qvk__host *)user)->symbols[value];
}

static qvk_status resolve(qvk__host *host, size_t index, qvk__arg **args, qvk_error *err)
{
    const qvk__node *node = &host->graph->nodes.data[index];
    const qvk__resolver resolver = {resolve_tensor, resolve_symbol, host};

    qvk__arena_reset(&host->arena);
    *args = qvk__arena_alloc(&host->arena, (uint64_t)node->n_args + 1, sizeof **args);
    QVK__CHECK(*args && qvk__args_resolve(node->args, node->n_args, &resolver, &host->arena, *args), err,
               QVK_OUT_OF_MEMORY, "%s: out of memory", qvk__node_label_of(host->graph, index).text);
    return QVK_OK;
}

typedef struct unknown_search {
    const qvk__host *host;
    bool found;
} unknown_search;

static void find_unknown(int32_t value, void *user)
{
    unknown_search *search = user;
    search->found |=
        search->host->graph->values.data[value].kind == QVK__VALUE_SYMBOL && !search->host->known[value];
}

static bool has_unknown(const qvk__host *host, const qvk__node *node)
{
    unknown_search search = {host, false};
    qvk__node_visit_args(node, find_unknown, &search);
    return search.found;
}

/* ---- inference ----------------------------------------------------------------------------------------- */

static bool reads_number(qvk__op op)
{
    return op == QVK__OP_ET_SELECT_AS_SYMINT || op == QVK__OP_ITEM || op == QVK__OP_PRIV_LOCAL_SCALAR_DENSE;
}

static qvk_status infer_symbol(qvk__host *host, const qvk__node *node, const qvk__arg *args, qvk_error *err)
{
    int64_t number;

    if (reads_number(node->op) && args[0].kind == QVK__ARG_TENSOR && !args[0].u.tensor->data)
        return QVK_OK;
    QVK__TRY(qvk__op_eval_symbol(node->op, args, node->n_args, &number, err));
    host->symbols[node->outs[0]] = number;
    host->known[node->outs[0]] = true;
    return QVK_OK;
}

/* Output descriptors as the operator's rule gives them, with the types the graph records. */
static qvk_status infer_outs(const qvk__host *host, const qvk__node *node, const qvk__arg *args,
                             qvk_tensor *outs, qvk_error *err)
{
    QVK__CHECK(node->n_outs <= MAX_OUTS, err, QVK_UNSUPPORTED, "%d outputs, at most %d are possible",
               node->n_outs, MAX_OUTS);
    for (int i = 0; i < node->n_outs; i++) {
        outs[i] = (qvk_tensor){0};
        if (node->outs[i] >= 0)
            outs[i].dtype = host->graph->values.data[node->outs[i]].desc.dtype;
    }
    QVK__TRY(qvk__op_infer(node->op, args, node->n_args, outs, node->n_outs, err));
    for (int i = 0; i < node->n_outs; i++)
        if (node->outs[i] >= 0)
            outs[i].dtype = host->graph->values.data[node->outs[i]].desc.dtype;
    return QVK_OK;
}

static qvk_status infer_tensors(qvk__host *host, const qvk__node *node, const qvk__arg *args, qvk_error *err)
{
    qvk_tensor outs[MAX_OUTS];

    QVK__TRY(infer_outs(host, node, args, outs, err));
    for (int i = 0; i < node->n_outs; i++) {
        const qvk__value *value;
        if (node->outs[i] < 0)
            continue;
        value = &host->graph->values.data[node->outs[i]];
        QVK__CHECK(qvk_tensor_numel(&outs[i]) >= 0 &&
                       qvk_tensor_numel(&outs[i]) <= qvk_tensor_numel(&value->desc),
                   err, QVK_SHAPE, "output %d becomes %s, but the program allows for %s", i,
                   qvk__shape_text(&outs[i]).text, qvk__shape_text(&value->desc).text);
        outs[i].data = host->tensors[node->outs[i]].data;
        host->tensors[node->outs[i]] = outs[i];
    }
    return QVK_OK;
}

qvk_status qvk__host_infer(qvk__host *host, size_t index, qvk_error *err)
{
    const qvk__node *node = &host->graph->nodes.data[index];
    const bool is_symbol = node->n_outs == 1 && node->outs[0] >= 0 &&
                           host->graph->values.data[node->outs[0]].kind == QVK__VALUE_SYMBOL;
    qvk__arg *args;
    qvk_status status;

    if (node->op == QVK__OP_NONE)
        return qvk__fail(err, QVK_UNSUPPORTED_OPERATOR, "%s: qvk does not know this operator",
                         qvk__node_label_of(host->graph, index).text);
    if (has_unknown(host, node))
        return QVK_OK;
    QVK__TRY(resolve(host, index, &args, err));
    status = is_symbol ? infer_symbol(host, node, args, err) : infer_tensors(host, node, args, err);
    if (status != QVK_OK)
        qvk__error_context(err, status, "%s", qvk__node_label_of(host->graph, index).text);
    return status;
}

/* ---- running ------------------------------------------------------------------------------------------- */

typedef struct input_check {
    qvk__host *host;
    qvk_status status;
    qvk_error *err;
} input_check;

static void fetch_input(int32_t value, void *user)
{
    input_check *check = user;
    const qvk__value *info = &check->host->graph->values.data[value];

    if (check->status != QVK_OK || info->kind != QVK__VALUE_TENSOR || check->host->tensors[value].data)
        return;
    if (info->constant)
        check->status = qvk__host_constant(check->host, value, check->err);
    else if (qvk_tensor_numel(&check->host->tensors[value]) > 0)
        check->status = qvk__fail(check->err, QVK_INTERNAL, "%s is not on the host", info->name);
}

static qvk_status fetch_inputs(qvk__host *host, const qvk__node *node, qvk_error *err)
{
    input_check check = {host, QVK_OK, err};
    qvk__node_visit_args(node, fetch_input, &check);
    return check.status;
}

typedef struct use_search {
    int32_t value;
    bool found;
} use_search;

static void find_use(int32_t value, void *user)
{
    use_search *search = user;
    search->found |= value == search->value;
}

/* Does a node read the value it writes (a buffer updated in place)? */
static bool reads(const qvk__node *node, int32_t value)
{
    use_search search = {value, false};
    qvk__node_visit_args(node, find_use, &search);
    return search.found;
}

/* Memory for the outputs: the values' own, or `spare` where nobody wants the output or the node reads it. */
static qvk_status reserve_outs(qvk__host *host, const qvk__node *node, qvk_tensor *outs, void **spare,
                               qvk_error *err)
{
    for (int i = 0; i < node->n_outs; i++) {
        const int32_t value = node->outs[i];
        if (value >= 0 && !reads(node, value)) {
            if (!host->graph->values.data[value].constant || !host->tensors[value].data)
                QVK__TRY(qvk__host_reserve(host, value, err));
            outs[i] = host->tensors[value];
            continue;
        }
        spare[i] = qvk__alloc_zeroed(qvk_tensor_bytes(&outs[i]), 1);
        QVK__CHECK(spare[i], err, QVK_OUT_OF_MEMORY, "out of host memory for %zu bytes",
                   qvk_tensor_bytes(&outs[i]));
        outs[i].data = spare[i];
    }
    return QVK_OK;
}

static qvk_status run_node(qvk__host *host, size_t index, qvk_error *err)
{
    const qvk__node *node = &host->graph->nodes.data[index];
    qvk_tensor outs[MAX_OUTS];
    void *spare[MAX_OUTS] = {0};
    qvk_status status = QVK_OK;
    qvk__arg *args;

    QVK__TRY(fetch_inputs(host, node, err));
    QVK__TRY(resolve(host, index, &args, err));
    QVK__TRY(infer_outs(host, node, args, outs, err));
    QVK__TRY_GO(reserve_outs(host, node, outs, spare, err));
    QVK__TRY_GO(qvk__reference_run(node->op, args, node->n_args, outs, node->n_outs, err));
    for (int i = 0; i < node->n_outs; i++)
        if (spare[i] && node->outs[i] >= 0 && qvk_tensor_bytes(&outs[i]) > 0)
            memcpy(host->tensors[node->outs[i]].data, spare[i], qvk_tensor_bytes(&outs[i]));
done:
    for (int i = 0; i < node->n_outs; i++)
        free(spare[i]);
    return status;
}

qvk_status qvk__host_run(qvk__host *host, size_t index, qvk_error *err)
{
    const qvk_status status = run_node(host, index, err);
    if (status != QVK_OK)
        qvk__error_context(err, status, "%s", qvk__node_label_of(host->graph, index).text);
    return status;
}
