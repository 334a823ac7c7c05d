/*
 * Arguments of blob calls against the operator table. The exporter shares scalars by Python equality (1, 1.0
 * and a Double may be one value), writes empty lists in whatever type comes first, and names some operators
 * without their namespace; here they become what the schema says.
 */
#include <math.h>

#include "program/blob_reader.h"

/* ---- names --------------------------------------------------------------------------------------------- */

typedef struct name_pair {
    const char *blob, *table;
    bool written; /* the blob's name is the one current exporters write */
} name_pair;

static const name_pair names[] = {
    {"update_cache.default", "llama.update_cache.default", true},
    {"sdpa_with_kv_cache.default", "llama.sdpa_with_kv_cache.default", true},
    {"sym_size.int", "aten.sym_size.int", true},
    /* What older exporters wrote. */
    {"conv_with_clamp.default", "et_vk.conv_with_clamp.default", false},
    {"et_vk.q4gsw_linear.default", "et_vk.linear_q4gsw.default", false},
    {"et_vk.q8ta_conv2d_general.default", "et_vk.q8ta_conv2d.default", false},
    {"et_vk.q8ta_conv2d_im2col.default", "et_vk.q8ta_conv2d.default", false},
    {"aten.select.int", "aten.select_copy.int", false},
    {"aten.slice.Tensor", "aten.slice_copy.Tensor", false},
};

const char *qvk__blob_table_name(const char *blob_name)
{
    for (size_t i = 0; i < QVK__COUNT(names); i++)
        if (strcmp(names[i].blob, blob_name) == 0)
            return names[i].table;
    return blob_name;
}

const char *qvk__blob_file_name(const char *table_name)
{
    for (size_t i = 0; i < QVK__COUNT(names); i++)
        if (names[i].written && strcmp(names[i].table, table_name) == 0)
            return names[i].blob;
    return table_name;
}

bool qvk__blob_is_enum(const char *type)
{
    return qvk__starts_with(type, "ScalarType") || qvk__starts_with(type, "Layout") ||
           qvk__starts_with(type, "Device") || qvk__starts_with(type, "MemoryFormat");
}

/* ---- conversions --------------------------------------------------------------------------------------- */

static bool is_tensor(const qvk__graph *graph, const qvk__arg *arg)
{
    return arg->kind == QVK__ARG_VALUE && graph->values.data[arg->u.value].kind == QVK__VALUE_TENSOR;
}

static bool is_symbol(const qvk__graph *graph, const qvk__arg *arg)
{
    return arg->kind == QVK__ARG_VALUE && graph->values.data[arg->u.value].kind == QVK__VALUE_SYMBOL;
}

static bool is_whole(double value)
{
    return value == floor(value) && fabs(value) < 9.0e18;
}

/* An element of a list, or a lone scalar, as an int; false when it is none. */
static bool fit_int(const qvk__graph *graph, qvk__arg *arg)
{
    if (arg->kind == QVK__ARG_FLOAT && is_whole(arg->u.f))
        *arg = qvk__arg_from_int((int64_t)arg->u.f);
    else if (arg->kind == QVK__ARG_BOOL)
        *arg = qvk__arg_from_int(arg->u.b);
    return arg->kind == QVK__ARG_INT || is_symbol(graph, arg);
}

static bool fit_float(qvk__arg *arg)
{
    if (arg->kind == QVK__ARG_INT)
        *arg = qvk__arg_from_float((double)arg->u.i);
    else if (arg->kind == QVK__ARG_BOOL)
        *arg = qvk__arg_from_float(arg->u.b);
    return arg->kind == QVK__ARG_FLOAT;
}

static bool fit_bool(qvk__arg *arg)
{
    if (arg->kind == QVK__ARG_INT && (arg->u.i == 0 || arg->u.i == 1))
        *arg = qvk__arg_from_bool(arg->u.i == 1);
    return arg->kind == QVK__ARG_BOOL;
}

static bool is_empty_list(const qvk__arg *arg)
{
    return arg->kind >= QVK__ARG_INTS && arg->kind <= QVK__ARG_LIST && arg->count == 0;
}

/* int[]: numbers, or a list with symbols in it. */
static bool fit_ints(qvk__graph *graph, qvk__arg *arg)
{
    int64_t *ints;

    if (arg->kind == QVK__ARG_INT || arg->kind == QVK__ARG_INTS)
        return true;
    if (arg->kind == QVK__ARG_LIST) {
        for (uint32_t i = 0; i < arg->count; i++)
            if (arg->u.list[i].kind != QVK__ARG_INT && !is_symbol(graph, &arg->u.list[i]))
                return false;
        return true;
    }
    if (arg->kind != QVK__ARG_FLOATS)
        return false;
    ints = qvk__arena_alloc(&graph->arena, arg->count, sizeof *ints);
    for (uint32_t i = 0; ints && i < arg->count; i++) {
        if (!is_whole(arg->u.floats[i]))
            return false;
        ints[i] = (int64_t)arg->u.floats[i];
    }
    *arg = (qvk__arg){.kind = QVK__ARG_INTS, .count = arg->count, .u.ints = ints};
    return ints != NULL;
}

static bool fit_floats(qvk__graph *graph, qvk__arg *arg)
{
    double *floats;

    if (arg->kind == QVK__ARG_FLOATS)
        return true;
    if (arg->kind != QVK__ARG_INTS)
        return false;
    floats = qvk__arena_alloc(&graph->arena, arg->count, sizeof *floats);
    for (uint32_t i = 0; floats && i < arg->count; i++)
        floats[i] = (double)arg->u.ints[i];
    *arg = (qvk__arg){.kind = QVK__ARG_FLOATS, .count = arg->count, .u.floats = floats};
    return floats != NULL;
}

static bool fit_tensors(const qvk__graph *graph, const qvk__arg *arg, bool optional)
{
    if (arg->kind != QVK__ARG_LIST)
        return false;
    for (uint32_t i = 0; i < arg->count; i++)
        if (!is_tensor(graph, &arg->u.list[i]) && !(optional && qvk__arg_is_null(&arg->u.list[i])))
            return false;
    return true;
}

/* An empty list has no type of its own: it takes the parameter's. */
static bool fit_empty(const char *type, qvk__arg *arg)
{
    arg->kind = qvk__starts_with(type, "Tensor")  ? QVK__ARG_LIST
                : qvk__starts_with(type, "float") ? QVK__ARG_FLOATS
                : qvk__starts_with(type, "bool")  ? QVK__ARG_BOOLS
                                                  : QVK__ARG_INTS;
    return true;
}

static bool fit_list(qvk__graph *graph, const char *type, qvk__arg *arg)
{
    if (is_empty_list(arg))
        return fit_empty(type, arg);
    if (qvk__starts_with(type, "Tensor"))
        return fit_tensors(graph, arg, qvk__starts_with(type, "Tensor?"));
    if (qvk__starts_with(type, "int"))
        return fit_ints(graph, arg);
    if (qvk__starts_with(type, "float"))
        return fit_floats(graph, arg);
    return arg->kind == QVK__ARG_BOOLS;
}

static bool fit_scalar(const qvk__graph *graph, const char *type, qvk__arg *arg)
{
    if (qvk__starts_with(type, "Tensor"))
        return is_tensor(graph, arg);
    if (qvk__starts_with(type, "float"))
        return fit_float(arg);
    if (qvk__starts_with(type, "bool"))
        return fit_bool(arg);
    if (qvk__starts_with(type, "str"))
        return arg->kind == QVK__ARG_STRING;
    if (strcmp(type, "Scalar") == 0 || strcmp(type, "Scalar?") == 0)
        return arg->kind == QVK__ARG_INT || arg->kind == QVK__ARG_FLOAT || arg->kind == QVK__ARG_BOOL ||
               is_symbol(graph, arg);
    return fit_int(graph, arg); /* int, and the enums, which are numbers */
}

qvk_status qvk__blob_fit_arg(qvk__graph *graph, const qvk__param *param, qvk__arg *arg, qvk_error *err)
{
    bool fits;

    if (qvk__arg_is_null(arg))
        fits = qvk__ends_with(param->type, "?") || qvk__blob_is_enum(param->type);
    else if (strstr(param->type, "[]"))
        fits = fit_list(graph, param->type, arg);
    else
        fits = fit_scalar(graph, param->type, arg);
    QVK__CHECK(fits, err, QVK_BAD_FORMAT, "argument %s is no %s", param->name, param->type);
    return QVK_OK;
}
