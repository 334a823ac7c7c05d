/* The Argument union of model.json as normalised arguments; symbolic integers. */
#include "core/dtype.h"
#include "pt2/codes.h"
#include "pt2/pt2_reader.h"

/* ---- symbolic integers and dtypes ---------------------------------------------------------------------- */

static qvk_status read_hint(const qvk__json *expression, int64_t *hint, qvk_error *err)
{
    qvk__json object, number;

    *hint = -1;
    if (!qvk__json_find(expression, "hint", &object) || !qvk__json_find(&object, "as_int", &number))
        return QVK_OK;
    return qvk__json_int(&number, hint, err);
}

qvk_status qvk__pt2_read_sym_int(qvk__pt2_reader *reader, const qvk__json *at, int64_t *value,
                                 int32_t *expression, qvk_error *err)
{
    const char *key, *text;
    qvk__json member;
    int64_t hint;
    qvk_status status;

    QVK__TRY(qvk__json_union(at, &key, &member, err));
    *expression = -1;
    if (strcmp(key, "as_int") == 0)
        return qvk__json_int(&member, value, err);
    if (strcmp(key, "as_expr") != 0)
        return qvk__json_fail(&member, err, QVK_BAD_FORMAT, "as_int or as_expr expected");
    QVK__TRY(qvk__json_get_string(&member, "expr_str", &text, err));
    QVK__TRY(read_hint(&member, &hint, err));
    status = qvk__expression_parse(reader->program, text, hint, expression, err);
    *value = hint;
    return status == QVK_OK ? status : qvk__json_context(&member, err, status);
}

/* A code by number, or in very old files by name. */
static qvk_status read_code(const qvk__json *at, qvk__code_kind kind, int64_t *c10, qvk_error *err)
{
    int64_t code;

    if (!json_is_string(at->value))
        QVK__TRY(qvk__json_int(at, &code, err));
    else if (!qvk__code_from_name(kind, json_string_value(at->value), &code))
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "no %s", qvk__code_type(kind));
    if (!qvk__code_to_c10(kind, code, c10))
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "%lld is no %s", (long long)code,
                              qvk__code_type(kind));
    return QVK_OK;
}

qvk_status qvk__pt2_read_dtype(const qvk__json *at, qvk_dtype *out, qvk_error *err)
{
    int64_t c10;

    QVK__TRY(read_code(at, QVK__CODE_SCALAR_TYPE, &c10, err));
    *out = qvk__dtype_from_code(c10, QVK__DTYPE_PTE);
    if (*out == QVK_DTYPE_NONE)
        return qvk__json_fail(at, err, QVK_UNSUPPORTED, "tensors of this dtype (torch's number %lld)",
                              (long long)c10);
    return QVK_OK;
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

static qvk_status value_argument(const qvk__pt2_scope *scope, const qvk__json *at, const char *name,
                                 qvk__arg *out, qvk_error *err)
{
    int32_t value;

    QVK__TRY(qvk__pt2_lookup(scope, at, name, &value, err));
    if (value < 0)
        return qvk__json_fail(
            at, err, QVK_UNSUPPORTED,
            "%s is a tensor subclass used as such; call torchao's unwrap_tensor_subclass(model) "
            "before torch.export.export",
            name);
    *out = qvk__arg_from_value(value);
    return QVK_OK;
}

/* {"as_name": n} of a symbol, or the number itself. */
static qvk_status symbol_argument(const qvk__pt2_scope *scope, const qvk__json *at, qvk__arg *out,
                                  qvk_error *err)
{
    const char *key, *name;
    qvk__json member;

    QVK__TRY(qvk__json_union(at, &key, &member, err));
    if (strcmp(key, "as_name") == 0) {
        QVK__TRY(qvk__json_string(&member, &name, err));
        return value_argument(scope, &member, name, out, err);
    }
    if (json_is_integer(member.value))
        *out = qvk__arg_from_int(json_integer_value(member.value));
    else if (json_is_boolean(member.value))
        *out = qvk__arg_from_bool(json_is_true(member.value));
    else {
        *out = (qvk__arg){.kind = QVK__ARG_FLOAT};
        return qvk__json_float(&member, &out->u.f, err);
    }
    return QVK_OK;
}

static qvk_status tensor_argument(const qvk__pt2_scope *scope, const qvk__json *at, qvk__arg *out,
                                  qvk_error *err)
{
    const char *name;
    QVK__TRY(qvk__json_get_string(at, "name", &name, err));
    return value_argument(scope, at, name, out, err);
}

static qvk_status optional_tensor_argument(const qvk__pt2_scope *scope, const qvk__json *at, qvk__arg *out,
                                           qvk_error *err)
{
    const char *key;
    qvk__json member;

    QVK__TRY(qvk__json_union(at, &key, &member, err));
    if (strcmp(key, "as_tensor") == 0)
        return tensor_argument(scope, &member, out, err);
    if (strcmp(key, "as_none") != 0)
        return qvk__json_fail(&member, err, QVK_BAD_FORMAT, "as_tensor or as_none expected");
    *out = (qvk__arg){.kind = QVK__ARG_NULL};
    return QVK_OK;
}

static qvk_status string_argument(const qvk__pt2_scope *scope, const qvk__json *at, qvk__arg *out,
                                  qvk_error *err)
{
    (void)scope;
    *out = (qvk__arg){.kind = QVK__ARG_STRING};
    return qvk__json_string(at, &out->u.s, err);
}

static qvk_status int_argument(const qvk__pt2_scope *scope, const qvk__json *at, qvk__arg *out,
                               qvk_error *err)
{
    (void)scope;
    *out = (qvk__arg){.kind = QVK__ARG_INT};
    return qvk__json_int(at, &out->u.i, err);
}

static qvk_status float_argument(const qvk__pt2_scope *scope, const qvk__json *at, qvk__arg *out,
                                 qvk_error *err)
{
    (void)scope;
    *out = (qvk__arg){.kind = QVK__ARG_FLOAT};
    return qvk__json_float(at, &out->u.f, err);
}

static qvk_status bool_argument(const qvk__pt2_scope *scope, const qvk__json *at, qvk__arg *out,
                                qvk_error *err)
{
    (void)scope;
    *out = (qvk__arg){.kind = QVK__ARG_BOOL};
    return qvk__json_bool(at, &out->u.b, err);
}

static qvk_status none_argument(const qvk__pt2_scope *scope, const qvk__json *at, qvk__arg *out,
                                qvk_error *err)
{
    (void)scope;
    (void)at;
    (void)err;
    *out = (qvk__arg){.kind = QVK__ARG_NULL};
    return QVK_OK;
}

static qvk_status device_argument(const qvk__pt2_scope *scope, const qvk__json *at, qvk__arg *out,
                                  qvk_error *err)
{
    const char *type;

    (void)scope;
    *out = (qvk__arg){.kind = QVK__ARG_INT};
    QVK__TRY(qvk__json_get_string(at, "type", &type, err));
    if (!qvk__device_to_c10(type, &out->u.i))
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "no device \"%.32s\"", type);
    return QVK_OK;
}

typedef qvk_status (*element_reader)(const qvk__pt2_scope *scope, const qvk__json *at, qvk__arg *out,
                                     qvk_error *err);

typedef struct argument_kind {
    const char *key;
    element_reader one;      /* NULL: refused */
    bool is_list;            /* an array of these */
    qvk__arg_kind list_kind; /* packed as */
} argument_kind;

static const argument_kind kinds[] = {
    {"as_none", none_argument, false, QVK__ARG_NULL},
    {"as_tensor", tensor_argument, false, QVK__ARG_NULL},
    {"as_tensors", tensor_argument, true, QVK__ARG_LIST},
    {"as_optional_tensor", optional_tensor_argument, false, QVK__ARG_NULL},
    {"as_optional_tensors", optional_tensor_argument, true, QVK__ARG_LIST},
    {"as_int", int_argument, false, QVK__ARG_NULL},
    {"as_ints", int_argument, true, QVK__ARG_INTS},
    {"as_float", float_argument, false, QVK__ARG_NULL},
    {"as_floats", float_argument, true, QVK__ARG_FLOATS},
    {"as_bool", bool_argument, false, QVK__ARG_NULL},
    {"as_bools", bool_argument, true, QVK__ARG_BOOLS},
    {"as_string", string_argument, false, QVK__ARG_NULL},
    {"as_strings", string_argument, true, QVK__ARG_LIST},
    {"as_sym_int", symbol_argument, false, QVK__ARG_NULL},
    {"as_sym_ints", symbol_argument, true, QVK__ARG_LIST},
    {"as_sym_float", symbol_argument, false, QVK__ARG_NULL},
    {"as_sym_floats", symbol_argument, true, QVK__ARG_LIST},
    {"as_sym_bool", symbol_argument, false, QVK__ARG_NULL},
    {"as_sym_bools", symbol_argument, true, QVK__ARG_LIST},
    {"as_device", device_argument, false, QVK__ARG_NULL},
    {"as_operator", string_argument, false, QVK__ARG_NULL},
    {"as_complex", NULL, false, QVK__ARG_NULL},
    {"as_graph", NULL, false, QVK__ARG_NULL},
    {"as_custom_obj", NULL, false, QVK__ARG_NULL},
    {"as_nested_tensors", NULL, false, QVK__ARG_NULL},
    {"as_int_lists", NULL, false, QVK__ARG_NULL},
    {"as_float_lists", NULL, false, QVK__ARG_NULL},
    {"as_string_to_argument", NULL, false, QVK__ARG_NULL},
};

/* Moves the elements of a uniform list into a plain array. */
static bool pack(qvk__arena *arena, const qvk__arg *list, size_t count, qvk__arg *out)
{
    switch (out->kind) {
    case QVK__ARG_INTS: {
        int64_t *ints = qvk__arena_alloc(arena, count, sizeof *ints);
        for (size_t i = 0; ints && i < count; i++)
            ints[i] = list[i].u.i;
        out->u.ints = ints;
        return ints;
    }
    case QVK__ARG_FLOATS: {
        double *floats = qvk__arena_alloc(arena, count, sizeof *floats);
        for (size_t i = 0; floats && i < count; i++)
            floats[i] = list[i].u.f;
        out->u.floats = floats;
        return floats;
    }
    case QVK__ARG_BOOLS: {
        bool *bools = qvk__arena_alloc(arena, count, sizeof *bools);
        for (size_t i = 0; bools && i < count; i++)
            bools[i] = list[i].u.b;
        out->u.bools = bools;
        return bools;
    }
    default: out->u.list = list; return true;
    }
}

static qvk_status read_list(qvk__pt2_reader *reader, const qvk__pt2_scope *scope, const qvk__json *at,
                            const argument_kind *kind, qvk__arg *out, qvk_error *err)
{
    size_t count;
    qvk__arg *list;

    QVK__TRY(qvk__json_array(at, &count, err));
    QVK__CHECK(count <= UINT32_MAX, err, QVK_BAD_FORMAT, "a list is too long");
    list = qvk__arena_alloc(&reader->scratch, count, sizeof *list);
    QVK__CHECK(list, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        qvk__json element = qvk__json_element(at, i);
        QVK__TRY(kind->one(scope, &element, &list[i], err));
    }
    *out = (qvk__arg){.kind = kind->list_kind, .count = (uint32_t)count};
    QVK__CHECK(pack(&reader->scratch, list, count, out), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_status qvk__pt2_read_argument(qvk__pt2_reader *reader, const qvk__pt2_scope *scope, const qvk__json *at,
                                  qvk__arg *out, const char **type, qvk_error *err)
{
    const char *key;
    qvk__json value;

    *type = NULL;
    QVK__TRY(qvk__json_union(at, &key, &value, err));
    for (qvk__code_kind kind = 0; kind < QVK__CODE_KINDS; kind++) {
        if (strcmp(key, qvk__code_argument(kind)) != 0)
            continue;
        *type = qvk__code_type(kind);
        *out = (qvk__arg){.kind = QVK__ARG_INT};
        return read_code(&value, kind, &out->u.i, err);
    }
    for (size_t i = 0; i < QVK__COUNT(kinds); i++) {
        if (strcmp(key, kinds[i].key) != 0)
            continue;
        if (!kinds[i].one)
            return qvk__json_fail(at, err, QVK_UNSUPPORTED, "arguments of kind %s", key);
        if (kinds[i].one == device_argument)
            *type = "Device";
        if (kinds[i].is_list)
            return read_list(reader, scope, &value, &kinds[i], out, err);
        return kinds[i].one(scope, &value, out, err);
    }
    return qvk__json_fail(at, err, QVK_BAD_FORMAT, "no such kind of argument: %.32s", key);
}

qvk_status qvk__pt2_argument_name(const qvk__json *at, const char **name, qvk_error *err)
{
    const char *key, *inner;
    qvk__json value, member;

    *name = NULL;
    QVK__TRY(qvk__json_union(at, &key, &value, err));
    if (strcmp(key, "as_tensor") == 0)
        return qvk__json_get_string(&value, "name", name, err);
    if (strcmp(key, "as_sym_int") != 0 && strcmp(key, "as_sym_bool") != 0 && strcmp(key, "as_sym_float") != 0)
        return QVK_OK;
    QVK__TRY(qvk__json_union(&value, &inner, &member, err));
    return strcmp(inner, "as_name") == 0 ? qvk__json_string(&member, name, err) : QVK_OK;
}
