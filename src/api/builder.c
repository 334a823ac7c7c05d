/* Building programs in C. The first error stays; finish reports it. */
#include <ctype.h>
#include <stdio.h>

#include "api/program_internal.h"
#include "core/dtype.h"

struct qvk_node {
    qvk_builder *builder;
    int32_t value;
    int32_t node; /* that makes it; -1: an input or parameter */
};

struct qvk_builder {
    qvk_program *program;
    qvk_status status; /* the first failure */
    qvk_error error;
};

/* ---- errors -------------------------------------------------------------------------------------------- */

static qvk_node *keep_error(qvk_builder *builder, qvk_status status, const char *what)
{
    builder->status = status;
    qvk__error_context(&builder->error, status, "%s", what);
    return NULL;
}

static bool is_broken(const qvk_builder *builder)
{
    return !builder || builder->status != QVK_OK;
}

static qvk_node *make_node(qvk_builder *builder, int32_t value, int32_t node)
{
    qvk_node *made =
        value < 0 ? NULL : qvk__arena_alloc(&builder->program->exported.graph.arena, 1, sizeof *made);

    if (!made) {
        builder->status = qvk__fail(&builder->error, QVK_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    *made = (qvk_node){builder, value, node};
    return made;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

qvk_status qvk_builder_create(qvk_builder **out, qvk_error *err)
{
    qvk_builder *builder;

    QVK__CHECK(out, err, QVK_INVALID_ARGUMENT, "out must not be NULL");
    builder = qvk__alloc_zeroed(1, sizeof *builder);
    if (builder)
        builder->program = qvk__alloc_zeroed(1, sizeof *builder->program);
    if (!builder || !builder->program) {
        free(builder);
        return qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    qvk__exported_init(&builder->program->exported);
    *out = builder;
    return QVK_OK;
}

void qvk_builder_destroy(qvk_builder **builder)
{
    if (!builder || !*builder)
        return;
    qvk_program_destroy(&(*builder)->program);
    free(*builder);
    *builder = NULL;
}

/* ---- inputs and parameters ----------------------------------------------------------------------------- */

/* torch makes a Python function of the program, with the inputs as its arguments. */
static bool is_identifier(const char *name)
{
    if (!name || !(isalpha((unsigned char)*name) || *name == '_'))
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

static qvk_status check_shape(qvk_dtype dtype, int32_t rank, const int64_t *sizes, qvk_tensor *out,
                              qvk_error *err)
{
    qvk_tensor tensor = {.dtype = dtype, .rank = rank};

    QVK__CHECK(dtype > QVK_DTYPE_NONE && dtype < QVK_DTYPE_COUNT, err, QVK_INVALID_ARGUMENT, "%d is no dtype",
               (int)dtype);
    QVK__CHECK(rank >= 0 && rank <= QVK_MAX_RANK && (sizes || rank == 0), err, QVK_INVALID_ARGUMENT,
               "rank %ld; 0 to %d are possible", (long)rank, QVK_MAX_RANK);
    if (rank > 0)
        memcpy(tensor.sizes, sizes, (size_t)rank * sizeof *sizes);
    QVK__CHECK(qvk_tensor_numel(&tensor) >= 0, err, QVK_INVALID_ARGUMENT, "the shape %s is impossible",
               qvk__shape_text(&tensor).text);
    *out = tensor;
    return QVK_OK;
}

static qvk_status add_input(qvk_builder *builder, const char *name, qvk_dtype dtype, int32_t rank,
                            const int64_t *sizes, uint32_t dynamic, int32_t *out, qvk_error *err)
{
    qvk__exported *program = &builder->program->exported;
    qvk_tensor desc;

    QVK__CHECK(is_identifier(name), err, QVK_INVALID_ARGUMENT,
               "an input's name has letters, digits and underscores, and starts with no digit");
    QVK__TRY(check_shape(dtype, rank, sizes, &desc, err));
    QVK__CHECK(dynamic >> rank == 0, err, QVK_INVALID_ARGUMENT, "a dynamic dimension beyond rank %ld",
               (long)rank);
    for (int i = 0; i < rank; i++)
        QVK__CHECK(!(dynamic >> i & 1) || desc.sizes[i] > 0, err, QVK_INVALID_ARGUMENT,
                   "dynamic dimension %d has the upper bound 0", i);
    for (size_t i = 0; i < program->forward_arg_names.count; i++)
        QVK__CHECK(strcmp(program->forward_arg_names.data[i], name) != 0, err, QVK_INVALID_ARGUMENT,
                   "there is an input of this name already");
    *out = qvk__exported_add_input(program, name, &desc, dynamic);
    QVK__CHECK(*out >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_node *qvk_builder_input(qvk_builder *builder, const char *name, qvk_dtype dtype, int32_t rank,
                            const int64_t *sizes, uint32_t dynamic)
{
    qvk_status status;
    int32_t value;

    if (is_broken(builder))
        return NULL;
    status = add_input(builder, name, dtype, rank, sizes, dynamic, &value, &builder->error);
    if (status != QVK_OK)
        return keep_error(builder, status, name ? name : "qvk_builder_input");
    return make_node(builder, value, -1);
}

/* torch's name for the placeholder of "linear1.weight": p_linear1_weight. */
static char *placeholder_name(qvk__arena *arena, const char *target)
{
    char *name = qvk__arena_printf(arena, "p_%s", target);

    for (char *c = name; c && *c; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    return name;
}

static qvk_status add_parameter(qvk_builder *builder, const char *name, const qvk_tensor *tensor,
                                int32_t *out, qvk_error *err)
{
    qvk__exported *program = &builder->program->exported;
    qvk__arena *arena = &program->graph.arena;
    qvk__constant *constant;
    const char *placeholder;
    qvk_tensor desc;

    QVK__CHECK(name && *name && tensor, err, QVK_INVALID_ARGUMENT, "name and tensor must not be NULL");
    QVK__TRY(check_shape(tensor->dtype, tensor->rank, tensor->sizes, &desc, err));
    QVK__CHECK(tensor->data || qvk_tensor_numel(&desc) == 0, err, QVK_INVALID_ARGUMENT, "it has no data");
    for (size_t i = 0; i < program->inputs.count; i++)
        QVK__CHECK(!program->inputs.data[i].target || strcmp(program->inputs.data[i].target, name) != 0, err,
                   QVK_INVALID_ARGUMENT, "there is a parameter of this name already");
    constant = qvk__arena_alloc(arena, 1, sizeof *constant);
    placeholder = placeholder_name(arena, name);
    QVK__CHECK(constant && placeholder, err, QVK_OUT_OF_MEMORY, "out of memory");
    constant->bytes = qvk_tensor_bytes(&desc);
    constant->data = constant->bytes ? qvk__arena_memdup(arena, tensor->data, (size_t)constant->bytes) : NULL;
    constant->name = qvk__arena_strdup(arena, name);
    QVK__CHECK((constant->data || constant->bytes == 0) && constant->name, err, QVK_OUT_OF_MEMORY,
               "out of memory");
    *out = qvk__exported_add_constant(program, QVK__INPUT_PARAMETER, placeholder, name, &desc, constant);
    QVK__CHECK(*out >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_node *qvk_builder_parameter(qvk_builder *builder, const char *name, const qvk_tensor *tensor)
{
    qvk_status status;
    int32_t value;

    if (is_broken(builder))
        return NULL;
    status = add_parameter(builder, name, tensor, &value, &builder->error);
    if (status != QVK_OK)
        return keep_error(builder, status, name ? name : "qvk_builder_parameter");
    return make_node(builder, value, -1);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

/* A node of this builder; the earlier failure that made it NULL is reported already. */
static qvk_status node_argument(const qvk_builder *builder, const qvk_node *node, qvk__arg *out,
                                qvk_error *err)
{
    QVK__CHECK(node && node->builder == builder, err, QVK_INVALID_ARGUMENT,
               node ? "a node of another builder" : "a node is NULL");
    *out = qvk__arg_from_value(node->value);
    return QVK_OK;
}

static qvk_status nodes_argument(qvk_builder *builder, const qvk_argument *argument, qvk__arg *out,
                                 qvk_error *err)
{
    qvk__arena *arena = &builder->program->exported.graph.arena;
    qvk__arg *list = qvk__arena_alloc(arena, argument->count, sizeof *list);

    QVK__CHECK(list, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__CHECK(argument->nodes || argument->count == 0, err, QVK_INVALID_ARGUMENT, "nodes is NULL");
    for (size_t i = 0; i < argument->count; i++)
        if (argument->nodes[i]) /* NULL stays None: lists of optional tensors */
            QVK__TRY(node_argument(builder, argument->nodes[i], &list[i], err));
    *out = (qvk__arg){.kind = QVK__ARG_LIST, .count = (uint32_t)argument->count, .u.list = list};
    return QVK_OK;
}

static qvk_status convert_argument(qvk_builder *builder, const qvk_argument *argument, qvk__arg *out,
                                   qvk_error *err)
{
    switch (argument->kind) {
    case QVK_ARGUMENT_NODE: return node_argument(builder, argument->node, out, err);
    case QVK_ARGUMENT_INT: *out = qvk__arg_from_int(argument->i); return QVK_OK;
    case QVK_ARGUMENT_FLOAT: *out = qvk__arg_from_float(argument->f); return QVK_OK;
    case QVK_ARGUMENT_BOOL: *out = qvk__arg_from_bool(argument->i != 0); return QVK_OK;
    case QVK_ARGUMENT_STRING:
        QVK__CHECK(argument->s, err, QVK_INVALID_ARGUMENT, "the string is NULL");
        *out = (qvk__arg){.kind = QVK__ARG_STRING, .u.s = argument->s};
        return QVK_OK;
    case QVK_ARGUMENT_INTS:
        QVK__CHECK((argument->ints || argument->count == 0) && argument->count <= UINT32_MAX, err,
                   QVK_INVALID_ARGUMENT, "ints is NULL");
        *out =
            (qvk__arg){.kind = QVK__ARG_INTS, .count = (uint32_t)argument->count, .u.ints = argument->ints};
        return QVK_OK;
    case QVK_ARGUMENT_NODES: return nodes_argument(builder, argument, out, err);
    case QVK_ARGUMENT_NONE: *out = (qvk__arg){.kind = QVK__ARG_NULL}; return QVK_OK;
    }
    return qvk__fail(err, QVK_INVALID_ARGUMENT, "%d is no kind of argument", (int)argument->kind);
}

static qvk_status place_of(const qvk__signature *signature, const qvk_argument *argument, size_t position,
                           int *out, qvk_error *err)
{
    if (!argument->name) {
        QVK__CHECK(position < (size_t)signature->n_params && !signature->params[position].keyword_only, err,
                   QVK_INVALID_ARGUMENT, "too many arguments by position");
        *out = (int)position;
        return QVK_OK;
    }
    for (int i = 0; i < signature->n_params; i++) {
        if (strcmp(signature->params[i].name, argument->name) == 0) {
            *out = i;
            return QVK_OK;
        }
    }
    return qvk__fail(err, QVK_INVALID_ARGUMENT, "there is no parameter \"%s\"", argument->name);
}

static qvk_status call(qvk_builder *builder, const char *name, const qvk_argument *args, size_t n_args,
                       int32_t *node, qvk_error *err)
{
    qvk__op op = name ? qvk__op_find(name) : QVK__OP_NONE;
    bool given[QVK__MAX_PARAMS] = {false};
    qvk__arg normalised[QVK__MAX_PARAMS];
    qvk__signature signature;

    QVK__CHECK(op != QVK__OP_NONE, err, QVK_UNSUPPORTED_OPERATOR, "there is no such operator");
    QVK__CHECK(args || n_args == 0, err, QVK_INVALID_ARGUMENT, "args must not be NULL");
    qvk__op_signature(op, &signature);
    for (size_t i = 0; i < n_args; i++) {
        int place = 0;
        QVK__TRY(place_of(&signature, &args[i], i, &place, err));
        QVK__CHECK(!given[place], err, QVK_INVALID_ARGUMENT, "%s is given twice",
                   signature.params[place].name);
        given[place] = true;
        QVK__TRY(qvk__error_context(err, convert_argument(builder, &args[i], &normalised[place], err), "%s",
                                    signature.params[place].name));
    }
    for (int i = 0; i < signature.n_params; i++) {
        QVK__CHECK(given[i] || signature.params[i].has_default, err, QVK_INVALID_ARGUMENT, "%s is missing",
                   signature.params[i].name);
        if (!given[i])
            normalised[i] = signature.params[i].fallback;
    }
    return qvk__exported_call(&builder->program->exported, op, normalised, signature.n_params, node, err);
}

qvk_node *qvk_builder_call(qvk_builder *builder, const char *op, const qvk_argument *args, size_t n_args)
{
    qvk_status status;
    int32_t node;

    if (is_broken(builder))
        return NULL;
    status = call(builder, op, args, n_args, &node, &builder->error);
    if (status != QVK_OK) {
        bool named = op && strstr(builder->error.message, op);
        if (named)
            builder->status = status;
        return named ? NULL : keep_error(builder, status, op ? op : "qvk_builder_call");
    }
    return make_node(builder, builder->program->exported.graph.nodes.data[node].outs[0], node);
}

qvk_node *qvk_builder_output_of(qvk_builder *builder, qvk_node *node, int32_t index)
{
    const qvk__graph *graph;

    if (is_broken(builder))
        return NULL;
    graph = &builder->program->exported.graph;
    if (!node || node->builder != builder || node->node < 0 || index < 0 ||
        index >= graph->nodes.data[node->node].n_outs) {
        builder->status = qvk__fail(&builder->error, QVK_INVALID_ARGUMENT,
                                    "qvk_builder_output_of: the node has no output %ld", (long)index);
        return NULL;
    }
    return make_node(builder, graph->nodes.data[node->node].outs[index], node->node);
}

qvk_node *qvk_builder_linear(qvk_builder *builder, qvk_node *x, qvk_node *weight, qvk_node *bias)
{
    const qvk_argument args[] = {
        {.kind = QVK_ARGUMENT_NODE, .node = x},
        {.kind = QVK_ARGUMENT_NODE, .node = weight},
        {.kind = bias ? QVK_ARGUMENT_NODE : QVK_ARGUMENT_NONE, .node = bias},
    };

    return qvk_builder_call(builder, "aten.linear.default", args, QVK__COUNT(args));
}

/* ---- the end ------------------------------------------------------------------------------------------- */

void qvk_builder_output(qvk_builder *builder, qvk_node *node)
{
    if (is_broken(builder))
        return;
    if (!node || node->builder != builder)
        builder->status = qvk__fail(&builder->error, QVK_INVALID_ARGUMENT,
                                    "qvk_builder_output: the node is NULL or of another builder");
    else if (!qvk__exported_add_output(&builder->program->exported, node->value))
        builder->status = qvk__fail(&builder->error, QVK_OUT_OF_MEMORY, "out of memory");
}

static qvk_status finish(qvk_builder *builder, qvk_error *err)
{
    if (builder->status != QVK_OK) {
        if (err)
            *err = builder->error;
        return builder->status;
    }
    QVK__CHECK(builder->program->exported.outputs.count > 0, err, QVK_INVALID_ARGUMENT,
               "the program has no output: call qvk_builder_output");
    return qvk__exported_verify(&builder->program->exported, err);
}

qvk_status qvk_builder_finish(qvk_builder **builder, qvk_program **out, qvk_error *err)
{
    qvk_status status;

    QVK__CHECK(builder && *builder && out, err, QVK_INVALID_ARGUMENT, "builder and out must not be NULL");
    status = finish(*builder, err);
    if (status == QVK_OK) {
        *out = (*builder)->program;
        (*builder)->program = NULL;
    }
    qvk_builder_destroy(builder);
    return status;
}
