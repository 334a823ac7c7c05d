/* models/model.json: values, signature, ranges, pytree specs. Source: torch/_export/serde/schema.py. */
#include <stdio.h>

#include "core/dtype.h"
#include "pt2/codes.h"
#include "pt2/pt2_writer.h"

/* ---- symbolic integers --------------------------------------------------------------------------------- */

static int64_t hint_of_symbol(void *user, const char *symbol)
{
    const qvk__exported *program = user;

    for (size_t i = 0; i < program->expressions.count; i++) {
        const qvk__expression *node = &program->expressions.data[i];
        if (node->kind == QVK__EXPRESSION_SYMBOL && strcmp(node->symbol, symbol) == 0 && node->hint >= 0)
            return node->hint;
    }
    return -1;
}

/* Value at export; -1 when it is not known. Expressions made here have none of their own, their symbols do.
 */
static int64_t hint_of(const qvk__exported *program, int32_t expression)
{
    int64_t hint = program->expressions.data[expression].hint;

    if (hint < 0 && program->expressions.data[expression].kind != QVK__EXPRESSION_SYMBOL &&
        qvk__expression_eval(program, expression, hint_of_symbol, (void *)(uintptr_t)program, &hint, NULL) !=
            QVK_OK)
        return -1;
    return hint;
}

static void write_expression(const qvk__exported *program, int32_t expression, const char *hint_key,
                             qvk__string *out)
{
    qvk__string text = {0};
    int64_t hint = hint_of(program, expression);

    qvk__expression_srepr(program, expression, &text);
    qvk__string_add(out, "{\"as_expr\": {\"expr_str\": \"");
    qvk__string_add_json(out, text.data ? text.data : "");
    if (hint >= 0 && hint_key)
        qvk__string_addf(out, "\", \"hint\": {\"%s\": %lld}}}", hint_key, (long long)hint);
    else
        qvk__string_add(out, "\", \"hint\": null}}");
    out->failed |= text.failed;
    free(text.data);
}

static void write_size(const qvk__exported *program, int32_t sym, int64_t size, qvk__string *out)
{
    if (sym >= 0 && program->expressions.data[sym].kind != QVK__EXPRESSION_CONSTANT)
        write_expression(program, sym, "as_int", out);
    else
        qvk__string_addf(out, "{\"as_int\": %lld}", (long long)size);
}

/* ---- values -------------------------------------------------------------------------------------------- */

/*
 * Strides of a contiguous tensor. With symbolic sizes they are products of expressions; torch computes its
 * own when it runs the program, so the text is built here without interning it.
 */
static void write_stride(const qvk__exported *program, const qvk_tensor *desc, const int32_t *syms, int from,
                         qvk__string *out)
{
    int64_t constant = 1, hint = 1;
    int symbolic = 0;
    qvk__string text = {0};

    for (int i = from; i < desc->rank; i++) {
        bool dynamic =
            syms && syms[i] >= 0 && program->expressions.data[syms[i]].kind != QVK__EXPRESSION_CONSTANT;
        int64_t size = dynamic ? hint_of(program, syms[i]) : QVK__MAX(desc->sizes[i], 1);
        if (hint < 0 || size < 0 || __builtin_mul_overflow(hint, size, &hint))
            hint = -1;
        if (!dynamic) {
            constant *= QVK__MAX(desc->sizes[i], 1);
            continue;
        }
        qvk__string_add(&text, ", ");
        qvk__expression_srepr(program, syms[i], &text);
        symbolic++;
    }
    if (symbolic == 0) {
        qvk__string_addf(out, "{\"as_int\": %lld}", (long long)constant);
    } else {
        qvk__string_add(out, "{\"as_expr\": {\"expr_str\": \"");
        if (symbolic == 1 && constant == 1) {
            qvk__string_add_json(out, text.data ? text.data + 2 : "");
        } else {
            qvk__string_addf(out, "Mul(Integer(%lld)", (long long)constant);
            qvk__string_add_json(out, text.data ? text.data : "");
            qvk__string_add(out, ")");
        }
        if (hint >= 0)
            qvk__string_addf(out, "\", \"hint\": {\"as_int\": %lld}}}", (long long)hint);
        else
            qvk__string_add(out, "\", \"hint\": null}}");
    }
    out->failed |= text.failed;
    free(text.data);
}

void qvk__pt2_write_tensor_meta(const qvk__exported *program, const qvk_tensor *desc, const int32_t *syms,
                                const int64_t *strides, int64_t storage_offset, bool requires_grad,
                                qvk__string *out)
{
    qvk__string_addf(out, "{\"dtype\": %d, \"sizes\": [", qvk__dtype_code(desc->dtype, QVK__DTYPE_PT2));
    for (int i = 0; i < desc->rank; i++) {
        qvk__string_add(out, i ? ", " : "");
        write_size(program, syms ? syms[i] : -1, desc->sizes[i], out);
    }
    qvk__string_addf(
        out, "], \"requires_grad\": %s, \"device\": {\"type\": \"cpu\", \"index\": null}, \"strides\": [",
        requires_grad ? "true" : "false");
    for (int i = 0; i < desc->rank; i++) {
        qvk__string_add(out, i ? ", " : "");
        if (strides)
            qvk__string_addf(out, "{\"as_int\": %lld}", (long long)strides[i]);
        else
            write_stride(program, desc, syms, i + 1, out);
    }
    qvk__string_addf(out, "], \"storage_offset\": {\"as_int\": %lld}, \"layout\": 7}",
                     (long long)storage_offset);
}

static void write_key(const char *name, bool first, qvk__string *out)
{
    qvk__string_add(out, first ? "\"" : ", \"");
    qvk__string_add_json(out, name);
    qvk__string_add(out, "\": ");
}

static void write_symbol_value(const qvk__exported *program, const qvk__value *value, qvk__string *out)
{
    const qvk__expression *node = value->sym >= 0 ? &program->expressions.data[value->sym] : NULL;
    bool integer = value->desc.dtype == QVK_DTYPE_I64 || value->desc.dtype == QVK_DTYPE_NONE;

    if (node && (node->kind != QVK__EXPRESSION_CONSTANT || !integer))
        write_expression(program, value->sym, integer ? "as_int" : NULL, out);
    else if (value->desc.dtype == QVK_DTYPE_BOOL)
        qvk__string_add(out, value->symbol_value ? "{\"as_bool\": true}" : "{\"as_bool\": false}");
    else if (value->desc.dtype == QVK_DTYPE_F64)
        qvk__string_addf(out, "{\"as_float\": %lld.0}", (long long)value->symbol_value);
    else
        qvk__string_addf(out, "{\"as_int\": %lld}", (long long)(node ? node->constant : value->symbol_value));
}

typedef enum value_table { TENSORS, INTS, BOOLS, FLOATS } value_table;

static value_table table_of(const qvk__value *value)
{
    if (value->kind == QVK__VALUE_TENSOR)
        return TENSORS;
    return value->desc.dtype == QVK_DTYPE_BOOL ? BOOLS : value->desc.dtype == QVK_DTYPE_F64 ? FLOATS : INTS;
}

static void write_table(const qvk__exported *program, const bool *used, value_table table, const char *key,
                        qvk__string *out)
{
    bool first = true;

    qvk__string_addf(out, "\"%s\": {", key);
    for (size_t i = 0; i < program->graph.values.count; i++) {
        const qvk__value *value = &program->graph.values.data[i];
        const qvk__input_spec *spec;
        if (!used[i] || table_of(value) != table)
            continue;
        write_key(value->name, first, out);
        first = false;
        if (table != TENSORS) {
            write_symbol_value(program, value, out);
            continue;
        }
        spec = value->constant ? qvk__exported_input_of(program, (int32_t)i) : NULL;
        qvk__pt2_write_tensor_meta(program, &value->desc, value->syms, NULL, 0, spec && spec->requires_grad,
                                   out);
    }
    qvk__string_add(out, "}, ");
}

/* Values that a placeholder or a live node makes: only those exist in the file. */
static bool *mark_used(const qvk__exported *program)
{
    const qvk__graph *graph = &program->graph;
    bool *used = qvk__alloc_zeroed(graph->values.count, sizeof *used);

    if (!used)
        return NULL;
    for (size_t i = 0; i < program->inputs.count; i++)
        if (program->inputs.data[i].kind != QVK__INPUT_LITERAL)
            used[program->inputs.data[i].value] = true;
    for (size_t n = 0; n < graph->nodes.count; n++)
        for (int i = 0; i < graph->nodes.data[n].n_outs && !graph->nodes.data[n].dead; i++)
            if (graph->nodes.data[n].outs[i] >= 0)
                used[graph->nodes.data[n].outs[i]] = true;
    return used;
}

/* ---- placeholders and outputs -------------------------------------------------------------------------- */

static qvk_status write_graph_inputs(const qvk__exported *program, qvk__string *out, qvk_error *err)
{
    qvk__string_add(out, "\"inputs\": [");
    for (size_t i = 0; i < program->inputs.count; i++) {
        const qvk__input_spec *spec = &program->inputs.data[i];
        qvk__string_add(out, i ? ", " : "");
        if (spec->kind == QVK__INPUT_LITERAL)
            QVK__TRY(qvk__pt2_write_argument(program, &spec->literal, NULL, out, err));
        else
            qvk__pt2_write_value(program, spec->value, out);
    }
    qvk__string_add(out, "], ");
    return QVK_OK;
}

static qvk_status write_output(const qvk__exported *program, size_t index, qvk__string *out, qvk_error *err)
{
    int32_t value = qvk__exported_output_value(program, index);

    if (value < 0)
        return qvk__pt2_write_argument(program, &program->outputs.data[index].literal, NULL, out, err);
    qvk__pt2_write_value(program, value, out);
    return QVK_OK;
}

static qvk_status write_graph_outputs(const qvk__exported *program, qvk__string *out, qvk_error *err)
{
    qvk__string_add(out, "\"outputs\": [");
    for (size_t i = 0; i < program->outputs.count; i++) {
        qvk__string_add(out, i ? ", " : "");
        QVK__TRY(write_output(program, i, out, err));
    }
    qvk__string_add(out, "], ");
    return QVK_OK;
}

static void write_name_member(const char *key, const char *name, qvk__string *out)
{
    qvk__string_addf(out, "\"%s\": ", key);
    qvk__string_add_quoted(out, name);
}

static qvk_status write_input_spec(const qvk__exported *program, const qvk__input_spec *spec,
                                   qvk__string *out, qvk_error *err)
{
    static const struct {
        const char *kind, *name;
    } keys[] = {[QVK__INPUT_PARAMETER] = {"parameter", "parameter_name"},
                [QVK__INPUT_BUFFER] = {"buffer", "buffer_name"},
                [QVK__INPUT_TENSOR_CONSTANT] = {"tensor_constant", "tensor_constant_name"}};

    if (spec->kind == QVK__INPUT_LITERAL) {
        qvk__string_add(out, "{\"constant_input\": {");
        write_name_member("name", spec->target ? spec->target : "", out);
        qvk__string_add(out, ", \"value\": ");
        QVK__TRY(qvk__pt2_write_argument(program, &spec->literal, NULL, out, err));
    } else if (spec->kind == QVK__INPUT_USER) {
        qvk__string_add(out, "{\"user_input\": {\"arg\": ");
        qvk__pt2_write_value(program, spec->value, out);
    } else {
        qvk__string_addf(out, "{\"%s\": {\"arg\": {", keys[spec->kind].kind);
        write_name_member("name", program->graph.values.data[spec->value].name, out);
        qvk__string_add(out, "}, ");
        write_name_member(keys[spec->kind].name, spec->target, out);
        if (spec->kind == QVK__INPUT_BUFFER)
            qvk__string_addf(out, ", \"persistent\": %s", spec->persistent ? "true" : "false");
    }
    qvk__string_add(out, "}}");
    return QVK_OK;
}

static qvk_status write_output_spec(const qvk__exported *program, size_t index, qvk__string *out,
                                    qvk_error *err)
{
    const qvk__output_spec *spec = &program->outputs.data[index];
    const qvk__value *value;

    if (spec->kind == QVK__OUTPUT_USER) {
        qvk__string_add(out, "{\"user_output\": {\"arg\": ");
        QVK__TRY(write_output(program, index, out, err));
        qvk__string_add(out, "}}");
        return QVK_OK;
    }
    value = &program->graph.values.data[qvk__exported_output_value(program, index)];
    qvk__string_addf(out, "{\"%s\": {\"arg\": {",
                     spec->kind == QVK__OUTPUT_BUFFER_MUTATION ? "buffer_mutation" : "user_input_mutation");
    write_name_member("name", value->name, out);
    qvk__string_add(out, "}, ");
    write_name_member(spec->kind == QVK__OUTPUT_BUFFER_MUTATION ? "buffer_name" : "user_input_name",
                      spec->target, out);
    qvk__string_add(out, "}}");
    return QVK_OK;
}

static qvk_status write_signature(const qvk__exported *program, qvk__string *out, qvk_error *err)
{
    qvk__string_add(out, "\"signature\": {\"input_specs\": [");
    for (size_t i = 0; i < program->inputs.count; i++) {
        qvk__string_add(out, i ? ", " : "");
        QVK__TRY(write_input_spec(program, &program->inputs.data[i], out, err));
    }
    qvk__string_add(out, "], \"output_specs\": [");
    for (size_t i = 0; i < program->outputs.count; i++) {
        qvk__string_add(out, i ? ", " : "");
        QVK__TRY(write_output_spec(program, i, out, err));
    }
    qvk__string_add(out, "]}, ");
    return QVK_OK;
}

/* ---- how the program is called ------------------------------------------------------------------------- */

static void write_tuple_spec(size_t count, qvk__string *out)
{
    qvk__string_add(out, "{\"type\": \"builtins.tuple\", \"context\": \"null\", \"children_spec\": [");
    for (size_t i = 0; i < count; i++)
        qvk__string_addf(out, "%s{\"type\": null, \"context\": null, \"children_spec\": []}", i ? ", " : "");
    qvk__string_add(out, "]}");
}

void qvk__pt2_in_spec(const qvk__exported *program, qvk__string *out)
{
    size_t count = 0;

    if (program->in_spec) {
        qvk__string_add(out, program->in_spec);
        return;
    }
    for (size_t i = 0; i < program->inputs.count; i++)
        count += program->inputs.data[i].kind == QVK__INPUT_USER ||
                 program->inputs.data[i].kind == QVK__INPUT_LITERAL;
    qvk__string_add(out, "[1, {\"type\": \"builtins.tuple\", \"context\": \"null\", \"children_spec\": [");
    write_tuple_spec(count, out);
    qvk__string_add(out, ", {\"type\": \"builtins.dict\", \"context\": \"[]\", \"children_spec\": []}]}]");
}

/* One output is returned as itself, several as a tuple. */
static void out_spec(const qvk__exported *program, qvk__string *out)
{
    size_t count = 0;

    if (program->out_spec) {
        qvk__string_add(out, program->out_spec);
        return;
    }
    for (size_t i = 0; i < program->outputs.count; i++)
        count += program->outputs.data[i].kind == QVK__OUTPUT_USER;
    qvk__string_add(out, "[1, ");
    if (count == 1)
        qvk__string_add(out, "{\"type\": null, \"context\": null, \"children_spec\": []}");
    else
        write_tuple_spec(count, out);
    qvk__string_add(out, "]");
}

static void write_quoted(void (*make)(const qvk__exported *program, qvk__string *out),
                         const qvk__exported *program, qvk__string *out)
{
    qvk__string text = {0};

    make(program, &text);
    qvk__string_add_quoted(out, text.data ? text.data : "");
    out->failed |= text.failed;
    free(text.data);
}

static void write_calls(const qvk__exported *program, qvk__string *out)
{
    qvk__string_add(
        out, "\"module_call_graph\": [{\"fqn\": \"\", \"signature\": {\"inputs\": [], \"outputs\": [], "
             "\"in_spec\": ");
    write_quoted(qvk__pt2_in_spec, program, out);
    qvk__string_add(out, ", \"out_spec\": ");
    write_quoted(out_spec, program, out);
    qvk__string_add(out, ", \"forward_arg_names\": [");
    for (size_t i = 0; i < program->forward_arg_names.count; i++) {
        qvk__string_add(out, i ? ", " : "");
        qvk__string_add_quoted(out, program->forward_arg_names.data[i]);
    }
    qvk__string_add(out, "]}}], ");
}

static void write_ranges(const qvk__exported *program, qvk__string *out)
{
    qvk__string_add(out, "\"range_constraints\": {");
    for (size_t i = 0; i < program->ranges.count; i++) {
        const qvk__range *range = &program->ranges.data[i];
        write_key(range->symbol, i == 0, out);
        if (range->min == INT64_MIN)
            qvk__string_add(out, "{\"min_val\": null, ");
        else
            qvk__string_addf(out, "{\"min_val\": %lld, ", (long long)range->min);
        if (range->max == INT64_MAX)
            qvk__string_add(out, "\"max_val\": null}");
        else
            qvk__string_addf(out, "\"max_val\": %lld}", (long long)range->max);
    }
    qvk__string_add(out, "}, ");
}

/* ---- the document -------------------------------------------------------------------------------------- */

static qvk_status write_graph(const qvk__exported *program, const bool *used, qvk__string *out,
                              qvk_error *err)
{
    qvk__string_add(out, "\"graph\": {");
    QVK__TRY(write_graph_inputs(program, out, err));
    QVK__TRY(write_graph_outputs(program, out, err));
    qvk__string_add(out, "\"nodes\": [");
    QVK__TRY(qvk__pt2_write_nodes(program, out, err));
    qvk__string_add(out, "], ");
    write_table(program, used, TENSORS, "tensor_values", out);
    write_table(program, used, INTS, "sym_int_values", out);
    write_table(program, used, BOOLS, "sym_bool_values", out);
    write_table(program, used, FLOATS, "sym_float_values", out);
    qvk__string_add(out, "\"is_single_tensor_return\": false, \"custom_obj_values\": {}}, ");
    return QVK_OK;
}

qvk_status qvk__pt2_write_document(const qvk__exported *program, qvk__string *out, qvk_error *err)
{
    bool *used = mark_used(program);
    qvk_status status;

    QVK__CHECK(used, err, QVK_OUT_OF_MEMORY, "out of memory");
    qvk__string_add(out, "{\"graph_module\": {");
    QVK__TRY_GO(write_graph(program, used, out, err));
    QVK__TRY_GO(write_signature(program, out, err));
    write_calls(program, out);
    qvk__string_add(
        out, "\"metadata\": {}, \"treespec_namedtuple_fields\": {}}, \"opset_version\": {\"aten\": 10}, ");
    write_ranges(program, out);
    qvk__string_add(out, "\"schema_version\": {\"major\": 8, \"minor\": 20}, \"verifiers\": [\"TRAINING\"], "
                         "\"torch_version\": \"2.13.0\", \"guards_code\": []}");
    QVK__CHECK_GO(!out->failed, err, QVK_OUT_OF_MEMORY, "out of memory");
done:
    free(used);
    return status;
}
