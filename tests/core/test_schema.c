/* Operator schemas: src/core/schema.c, and that every schema of ops.def is well-formed. */
#include <stdio.h>

#include "core/op.h"
#include "support/support.h"

static const char *const parameter_types[] = {
    "Tensor",  "Tensor?",    "Tensor[]",    "Tensor?[]", "int",    "int?",    "int[]",        "int[]?",
    "float",   "float?",     "float[]?",    "bool",      "bool?",  "str",     "str?",         "Scalar",
    "Scalar?", "ScalarType", "ScalarType?", "Layout?",   "Device", "Device?", "MemoryFormat", "MemoryFormat?",
};

/* The parameters written back as the schema has them, but without defaults. */
static void print_signature(const qvk__signature *signature, qvk__string *out)
{
    bool keyword_only = false;

    for (int i = 0; i < signature->n_params; i++) {
        const qvk__param *param = &signature->params[i];
        qvk__string_add(out, i ? ", " : "");
        if (param->keyword_only && !keyword_only) {
            qvk__string_add(out, "*, ");
            keyword_only = true;
        }
        qvk__string_addf(out, "%s %s", param->type, param->name);
    }
}

/* The schema's own parameters, its defaults left out. */
static void strip_defaults(const char *schema, qvk__string *out)
{
    const char *arrow = strstr(schema, " -> ");
    int depth = 0;
    bool in_default = false;

    assert_non_null(arrow);
    qvk__string_add(out, "");
    for (; schema < arrow; schema++) {
        depth += *schema == '[';
        depth -= *schema == ']';
        if (*schema == '=')
            in_default = true;
        if (*schema == ',' && depth == 0)
            in_default = false;
        if (!in_default)
            qvk__string_addf(out, "%c", *schema);
    }
}

static void every_schema_is_parsed_whole(void **state)
{
    (void)state;
    for (int i = 1; i < QVK__OP_COUNT; i++) {
        qvk__string expected = {0}, parsed = {0};
        qvk__signature signature;
        int n_params, n_returns;

        qvk__op_signature((qvk__op)i, &signature);
        qvk__op_arity((qvk__op)i, &n_params, &n_returns);
        assert_int_equal(n_params, signature.n_params);
        assert_int_equal(n_returns, signature.n_returns);
        strip_defaults(qvk__op_info_of((qvk__op)i)->schema, &expected);
        qvk__string_add(&parsed, "");
        print_signature(&signature, &parsed);
        if (strcmp(parsed.data, expected.data) != 0)
            fail_msg("%s:\n  parsed  %s\n  written %s", qvk__op_name((qvk__op)i), parsed.data, expected.data);
        free(expected.data);
        free(parsed.data);
    }
}

static void every_parameter_has_a_known_type_and_its_own_name(void **state)
{
    (void)state;
    for (int i = 1; i < QVK__OP_COUNT; i++) {
        qvk__signature signature;

        qvk__op_signature((qvk__op)i, &signature);
        for (int p = 0; p < signature.n_params; p++) {
            const qvk__param *param = &signature.params[p];
            bool known = false;
            for (size_t t = 0; t < QVK__COUNT(parameter_types); t++)
                known = known || strcmp(param->type, parameter_types[t]) == 0;
            if (!known)
                fail_msg("%s: %s has type \"%s\"", qvk__op_name((qvk__op)i), param->name, param->type);
            for (int q = 0; q < p; q++)
                if (strcmp(param->name, signature.params[q].name) == 0)
                    fail_msg("%s: two parameters are called %s", qvk__op_name((qvk__op)i), param->name);
        }
    }
}

/* A default must fit the parameter: None only where the type is optional, numbers where numbers go. */
static bool default_fits(const qvk__param *param)
{
    const bool optional = strchr(param->type, '?') != NULL;
    const bool list = strstr(param->type, "[]") != NULL;

    switch (param->fallback.kind) {
    case QVK__ARG_NULL: return optional;
    case QVK__ARG_BOOL: return qvk__starts_with(param->type, "bool");
    case QVK__ARG_STRING: return qvk__starts_with(param->type, "str");
    case QVK__ARG_INTS: return list && qvk__starts_with(param->type, "int");
    case QVK__ARG_INT:
    case QVK__ARG_FLOAT: return !list && !qvk__starts_with(param->type, "Tensor");
    default: return false;
    }
}

static void every_default_fits_its_type(void **state)
{
    (void)state;
    for (int i = 1; i < QVK__OP_COUNT; i++) {
        qvk__signature signature;

        qvk__op_signature((qvk__op)i, &signature);
        for (int p = 0; p < signature.n_params; p++)
            if (signature.params[p].has_default && !default_fits(&signature.params[p]))
                fail_msg("%s: default of %s %s has kind %d", qvk__op_name((qvk__op)i),
                         signature.params[p].type, signature.params[p].name,
                         (int)signature.params[p].fallback.kind);
    }
}

static const qvk__param *find_param(const qvk__signature *signature, const char *name)
{
    for (int i = 0; i < signature->n_params; i++)
        if (strcmp(signature->params[i].name, name) == 0)
            return &signature->params[i];
    fail_msg("no parameter %s", name);
    return NULL;
}

static void defaults_have_their_values(void **state)
{
    qvk__signature signature;
    const qvk__param *param;

    (void)state;
    qvk__op_signature(QVK__OP_ADDMM, &signature);
    param = find_param(&signature, "alpha");
    assert_true(param->keyword_only && param->has_default);
    assert_int_equal(param->fallback.kind, QVK__ARG_INT);
    assert_int_equal(param->fallback.u.i, 1);
    assert_false(find_param(&signature, "mat2")->has_default);

    qvk__op_signature(QVK__OP_AVG_POOL2D, &signature);
    param = find_param(&signature, "padding");
    assert_int_equal(param->fallback.kind, QVK__ARG_INTS);
    assert_int_equal(param->fallback.count, 1); /* one number for every dimension */
    assert_int_equal(param->fallback.u.ints[0], 0);
    param = find_param(&signature, "stride");
    assert_int_equal(param->fallback.kind, QVK__ARG_INTS);
    assert_int_equal(param->fallback.count, 0);
    assert_true(find_param(&signature, "count_include_pad")->fallback.u.b);
    assert_false(find_param(&signature, "ceil_mode")->fallback.u.b);
    assert_int_equal(find_param(&signature, "divisor_override")->fallback.kind, QVK__ARG_NULL);

    qvk__op_signature(QVK__OP_LLAMA_CUSTOM_SDPA, &signature);
    param = find_param(&signature, "drpout_p");
    assert_int_equal(param->fallback.kind, QVK__ARG_FLOAT);
    assert_true(param->fallback.u.f == 0.0);
}

static void returns_are_counted(void **state)
{
    qvk__signature signature;

    (void)state;
    qvk__op_signature(QVK__OP_LINEAR, &signature);
    assert_int_equal(signature.n_returns, 1);
    assert_false(signature.returns_symbol);
    qvk__op_signature(QVK__OP_MAX_POOL2D_WITH_INDICES, &signature);
    assert_int_equal(signature.n_returns, 2);
    qvk__op_signature(QVK__OP_MESHGRID, &signature);
    assert_int_equal(signature.n_returns, -1);
    qvk__op_signature(QVK__OP_SYM_SIZE_INT, &signature);
    assert_int_equal(signature.n_returns, 1);
    assert_true(signature.returns_symbol);
    qvk__op_signature(QVK__OP_NONE, &signature);
    assert_int_equal(signature.n_params, 0);
    assert_int_equal(signature.n_returns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_schema_is_parsed_whole),
        cmocka_unit_test(every_parameter_has_a_known_type_and_its_own_name),
        cmocka_unit_test(every_default_fits_its_type),
        cmocka_unit_test(defaults_have_their_values),
        cmocka_unit_test(returns_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
