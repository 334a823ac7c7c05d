#include "program_compare.h"

#include <stdio.h>
#include <unistd.h>

#include "core/dtype.h"

const char *const golden_programs[] = {
    "linear_4w",
    "linear_8da4w",
    "linear_8da8w",
    "static_linear",
    "static_conv",
    "linear_fp16",
    "linear_external",
    "outside_external",
    "dynamic",
    "outside_dynamic",
    "outside_channels_last",
    "tied",
    "views",
    "outside_lists",
    "outside_branch",
    "buffer_dropped",
    "buffer_alias",
    "outside_buffer",
    "kv_cache",
    NULL,
};

/* ---- graphs -------------------------------------------------------------------------------------------- */

/* Which value of b stands for each value of a; -1 as long as it is not known. */
typedef struct pairing {
    const qvk__graph *a, *b;
    int32_t *of;
} pairing;

static void assert_descs_equal(const qvk_tensor *a, const qvk_tensor *b)
{
    assert_int_equal(a->dtype, b->dtype);
    assert_true(qvk__shape_equal(a, b));
}

static void assert_constants_equal(const qvk__constant *a, const qvk__constant *b)
{
    const void *x = NULL, *y = NULL;

    assert_int_equal(a == NULL, b == NULL);
    if (!a || a == b)
        return;
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(qvk__constant_bytes(a, &x, NULL), QVK_OK);
    assert_int_equal(qvk__constant_bytes(b, &y, NULL), QVK_OK);
    if (a->bytes > 0)
        assert_memory_equal(x, y, a->bytes);
    qvk__constant_release(a, x);
    qvk__constant_release(b, y);
}

static void assert_values_pair(pairing *pair, int32_t a, int32_t b)
{
    const qvk__value *x, *y;

    assert_int_equal(a < 0, b < 0);
    if (a < 0)
        return;
    if (pair->of[a] >= 0) {
        assert_int_equal(pair->of[a], b);
        return;
    }
    pair->of[a] = b;
    x = &pair->a->values.data[a];
    y = &pair->b->values.data[b];
    assert_int_equal(x->kind, y->kind);
    if (x->kind == QVK__VALUE_SYMBOL) {
        assert_int_equal(x->symbol_value, y->symbol_value);
        return;
    }
    assert_descs_equal(&x->desc, &y->desc);
    assert_int_equal(x->host_dtype, y->host_dtype);
    assert_int_equal(x->is_mutable, y->is_mutable);
    assert_int_equal(x->storage_hint, y->storage_hint);
    assert_int_equal(x->layout_hint, y->layout_hint);
    assert_int_equal(x->memory_hint, y->memory_hint);
    assert_constants_equal(x->constant, y->constant);
}

static void assert_args_equal(pairing *pair, const qvk__arg *a, const qvk__arg *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->count, b->count);
    switch (a->kind) {
    case QVK__ARG_INT: assert_int_equal(a->u.i, b->u.i); break;
    case QVK__ARG_FLOAT: assert_memory_equal(&a->u.f, &b->u.f, sizeof a->u.f); break;
    case QVK__ARG_BOOL: assert_int_equal(a->u.b, b->u.b); break;
    case QVK__ARG_STRING: assert_string_equal(a->u.s, b->u.s); break;
    case QVK__ARG_VALUE: assert_values_pair(pair, a->u.value, b->u.value); break;
    case QVK__ARG_INTS:
        for (uint32_t i = 0; i < a->count; i++)
            assert_int_equal(a->u.ints[i], b->u.ints[i]);
        break;
    case QVK__ARG_FLOATS:
        for (uint32_t i = 0; i < a->count; i++)
            assert_memory_equal(&a->u.floats[i], &b->u.floats[i], sizeof a->u.floats[i]);
        break;
    case QVK__ARG_BOOLS:
        for (uint32_t i = 0; i < a->count; i++)
            assert_int_equal(a->u.bools[i], b->u.bools[i]);
        break;
    case QVK__ARG_LIST:
        for (uint32_t i = 0; i < a->count; i++)
            assert_args_equal(pair, &a->u.list[i], &b->u.list[i]);
        break;
    default: break;
    }
}

static void assert_nodes_equal(pairing *pair, const qvk__node *a, const qvk__node *b)
{
    assert_int_equal(a->op, b->op);
    assert_string_equal(a->target, b->target);
    assert_int_equal(a->n_args, b->n_args);
    assert_int_equal(a->n_outs, b->n_outs);
    for (int i = 0; i < a->n_args; i++)
        assert_args_equal(pair, &a->args[i], &b->args[i]);
    for (int i = 0; i < a->n_outs; i++)
        assert_values_pair(pair, a->outs[i], b->outs[i]);
}

void assert_graphs_equal(const qvk__graph *a, const qvk__graph *b)
{
    pairing pair = {a, b, malloc((a->values.count + 1) * sizeof(int32_t))};

    assert_non_null(pair.of);
    for (size_t i = 0; i < a->values.count; i++)
        pair.of[i] = -1;
    assert_int_equal(a->inputs.count, b->inputs.count);
    assert_int_equal(a->outputs.count, b->outputs.count);
    assert_int_equal(a->nodes.count, b->nodes.count);
    for (size_t i = 0; i < a->inputs.count; i++)
        assert_values_pair(&pair, a->inputs.data[i], b->inputs.data[i]);
    for (size_t i = 0; i < a->nodes.count; i++)
        assert_nodes_equal(&pair, &a->nodes.data[i], &b->nodes.data[i]);
    for (size_t i = 0; i < a->outputs.count; i++)
        assert_values_pair(&pair, a->outputs.data[i], b->outputs.data[i]);
    free(pair.of);
}

/* ---- programs ------------------------------------------------------------------------------------------ */

static void assert_texts_equal(const char *a, const char *b)
{
    assert_string_equal(a ? a : "", b ? b : "");
}

static void assert_ids_equal(const int32_t *a, const int32_t *b, uint32_t n_a, uint32_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (uint32_t i = 0; i < n_a; i++)
        assert_int_equal(a[i], b[i]);
}

static void assert_tensors_equal(const qvk__evalue *a, const qvk__evalue *b)
{
    assert_descs_equal(&a->desc, &b->desc);
    assert_memory_equal(a->dim_order, b->dim_order, (size_t)a->desc.rank);
    assert_int_equal(a->dynamic, b->dynamic);
    assert_int_equal(a->planned, b->planned);
    assert_int_equal(a->memory_id, b->memory_id);
    assert_int_equal(a->memory_offset, b->memory_offset);
    assert_texts_equal(a->external_name, b->external_name);
    assert_int_equal(a->constant == NULL, b->constant == NULL);
    assert_int_equal(a->constant_bytes, b->constant_bytes);
    if (a->constant_bytes > 0)
        assert_memory_equal(a->constant, b->constant, a->constant_bytes);
}

static void assert_evalues_equal(const qvk__evalue *a, const qvk__evalue *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->int_value, b->int_value);
    assert_memory_equal(&a->double_value, &b->double_value, sizeof a->double_value);
    assert_texts_equal(a->string, b->string);
    assert_int_equal(a->count, b->count);
    if (a->ids)
        assert_ids_equal(a->ids, b->ids, a->count, b->count);
    for (uint32_t i = 0; a->doubles && i < a->count; i++)
        assert_memory_equal(&a->doubles[i], &b->doubles[i], sizeof a->doubles[i]);
    for (uint32_t i = 0; a->bools && i < a->count; i++)
        assert_int_equal(a->bools[i], b->bools[i]);
    if (a->kind == QVK__EVALUE_TENSOR)
        assert_tensors_equal(a, b);
}

static void assert_delegates_equal(const qvk__delegate *a, const qvk__delegate *b)
{
    assert_string_equal(a->id, b->id);
    assert_int_equal(a->parsed, b->parsed);
    assert_int_equal(a->n_specs, b->n_specs);
    for (uint32_t i = 0; i < a->n_specs; i++) {
        assert_string_equal(a->specs[i].key, b->specs[i].key);
        assert_int_equal(a->specs[i].bytes, b->specs[i].bytes);
        assert_memory_equal(a->specs[i].value, b->specs[i].value, a->specs[i].bytes);
    }
    if (a->parsed) {
        assert_graphs_equal(&a->graph, &b->graph);
        return;
    }
    assert_int_equal(a->blob_bytes, b->blob_bytes);
    assert_memory_equal(a->blob, b->blob, a->blob_bytes);
}

static void assert_methods_equal(const qvk__method *a, const qvk__method *b)
{
    assert_string_equal(a->name, b->name);
    assert_texts_equal(a->input_spec, b->input_spec);
    assert_texts_equal(a->output_spec, b->output_spec);
    assert_ids_equal(a->inputs, b->inputs, a->n_inputs, b->n_inputs);
    assert_ids_equal(a->outputs, b->outputs, a->n_outputs, b->n_outputs);
    assert_int_equal(a->n_buffers, b->n_buffers);
    assert_memory_equal(a->buffer_bytes, b->buffer_bytes, a->n_buffers * sizeof *a->buffer_bytes);
    assert_int_equal(a->n_values, b->n_values);
    for (uint32_t i = 0; i < a->n_values; i++)
        assert_evalues_equal(&a->values[i], &b->values[i]);
    assert_int_equal(a->n_operators, b->n_operators);
    for (uint32_t i = 0; i < a->n_operators; i++) {
        assert_texts_equal(a->operators[i].name, b->operators[i].name);
        assert_texts_equal(a->operators[i].overload, b->operators[i].overload);
        assert_int_equal(a->operators[i].op, b->operators[i].op);
    }
    assert_int_equal(a->n_delegates, b->n_delegates);
    for (uint32_t i = 0; i < a->n_delegates; i++)
        assert_delegates_equal(&a->delegates[i], &b->delegates[i]);
    assert_int_equal(a->n_instructions, b->n_instructions);
    for (uint32_t i = 0; i < a->n_instructions; i++) {
        const qvk__instruction *x = &a->instructions[i], *y = &b->instructions[i];
        assert_int_equal(x->kind, y->kind);
        assert_int_equal(x->index, y->index);
        assert_int_equal(x->target, y->target);
        assert_ids_equal(x->args, y->args, x->n_args, y->n_args);
    }
}

void assert_programs_equal(const qvk__program *a, const qvk__program *b)
{
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->n_methods, b->n_methods);
    for (uint32_t i = 0; i < a->n_methods; i++)
        assert_methods_equal(&a->methods[i], &b->methods[i]);
}

/* ---- golden programs ----------------------------------------------------------------------------------- */

static char *golden_file(const char *name, const char *suffix)
{
    char leaf[128];
    snprintf(leaf, sizeof leaf, "programs/%s%s", name, suffix);
    return test_golden_path(leaf);
}

qvk_status read_like_golden(const char *path, const char *name, qvk__program *out, qvk_error *err)
{
    char *data = golden_file(name, ".ptd");
    const char *paths[] = {data};
    qvk_status status = qvk__program_read(path, paths, access(data, R_OK) == 0, out, err);

    free(data);
    return status;
}

void read_golden_program(const char *name, qvk__program *out)
{
    char *path = golden_file(name, ".pte");
    qvk_error err;

    if (read_like_golden(path, name, out, &err) != QVK_OK)
        fail_msg("%s", err.message);
    free(path);
}
