/*
 * quantize_: every linear's float weight becomes integers, scales and zero points behind a dequantize_affine
 * node; with dynamic activations, choose_qparams / quantize / dequantize nodes go before the linear. The
 * graph is the one that torch.export gives after torchao's quantize_ and unwrap_tensor_subclass.
 */
#include <stdio.h>

#include "core/dtype.h"
#include "quantize/quantize.h"
#include "quantize/rewrite.h"
#include "quantize/weights.h"

enum { SCALAR_TYPE_INT8 = 1, SCALAR_TYPE_FLOAT = 6 };

/* A weight that will be replaced: its placeholder, and the three that take its place. */
typedef struct target {
    int32_t weight;     /* value id of the float weight */
    const char *module; /* fully qualified name of the module: "layers.0"; "" for the root */
    const char *prefix; /* of its parameters' names: "layers.0.", "" */
    bool is_embedding;
    qvk__quantized_weight *quantized;
    int32_t integers, scale, zero_point; /* value ids */
} target;

typedef struct torchao {
    qvk__exported *program;
    const qvk_quant_config *config;
    const qvk_quantize_params *params;
    qvk__rewrite rewrite;
    QVK__VEC(target) targets;
} torchao;

static qvk__weight_scheme scheme_of(const qvk_quant_config *config, qvk_dtype weight_dtype)
{
    int bits = config->weight_bits ? config->weight_bits : 8;
    return (qvk__weight_scheme){
        .qmin = -(1 << (bits - 1)),
        .qmax = (1 << (bits - 1)) - 1,
        .mapping = config->mapping_type,
        .choose = config->choose_qparams,
        .weight_dtype = weight_dtype,
        .scale_dtype = config->scale_dtype ? config->scale_dtype : weight_dtype,
    };
}

static const char *parameter_name(const qvk__exported *program, int32_t value)
{
    for (size_t i = 0; i < program->inputs.count; i++)
        if (program->inputs.data[i].value == value && program->inputs.data[i].kind == QVK__INPUT_PARAMETER)
            return program->inputs.data[i].target;
    return NULL;
}

static bool has_parameter(const qvk__exported *program, const char *prefix, const char *suffix)
{
    size_t length = strlen(prefix);
    for (size_t i = 0; i < program->inputs.count; i++) {
        const char *name = program->inputs.data[i].target;
        if (name && strncmp(name, prefix, length) == 0 && strcmp(name + length, suffix) == 0)
            return true;
    }
    return false;
}

/* MultiheadAttention's out_proj is a NonDynamicallyQuantizableLinear, which quantize_ passes over. */
static bool is_attention_out_proj(const qvk__exported *program, const char *module)
{
    char parent[256];
    size_t length = strlen(module), tail = strlen("out_proj");

    if (!qvk__ends_with(module, "out_proj") || length - tail >= sizeof parent)
        return false;
    memcpy(parent, module, length - tail);
    parent[length - tail] = '\0';
    return has_parameter(program, parent, "in_proj_weight") ||
           has_parameter(program, parent, "q_proj_weight");
}

/* The module a node's weight argument belongs to, or NULL when quantize_ would not touch it. */
static const char *quantizable_module(const torchao *self, const qvk__node *node, bool *is_embedding)
{
    bool linear = node->op == QVK__OP_LINEAR;
    bool embedding = node->op == QVK__OP_EMBEDDING && self->params && self->params->embeddings;
    int slot = linear ? 1 : 0;
    const char *name;
    char *module;

    if ((!linear && !embedding) || node->args[slot].kind != QVK__ARG_VALUE)
        return NULL;
    name = parameter_name(self->program, node->args[slot].u.value);
    if (!name || qvk__module_name_length(name) == strlen(name))
        return NULL;
    module = qvk__arena_strndup(&self->program->graph.arena, name, qvk__module_name_length(name));
    if (!module || (linear && is_attention_out_proj(self->program, module)))
        return NULL;
    if (self->params && self->params->filter && !self->params->filter(module, self->params->filter_user))
        return NULL;
    *is_embedding = embedding;
    return module;
}

static target *find_target(torchao *self, int32_t weight, bool is_embedding)
{
    for (size_t i = 0; i < self->targets.count; i++)
        if (self->targets.data[i].weight == weight && self->targets.data[i].is_embedding == is_embedding)
            return &self->targets.data[i];
    return NULL;
}

static qvk_status check_weight(const qvk_quant_config *config, const qvk__value *value, const char *name,
                               qvk_error *err)
{
    const qvk_tensor *desc = &value->desc;
    int64_t g = config->granularity.group_size;

    QVK__CHECK(desc->rank == 2 && value->constant, err, QVK_UNSUPPORTED,
               "%s: a 2-D parameter is needed, got %s", name, qvk__shape_text(desc).text);
    QVK__CHECK(desc->dtype == QVK_DTYPE_F32 || desc->dtype == QVK_DTYPE_F16 || desc->dtype == QVK_DTYPE_BF16,
               err, QVK_UNSUPPORTED, "%s: %s weights cannot be quantized", name, qvk_dtype_name(desc->dtype));
    QVK__CHECK(g == 0 || desc->sizes[1] % g == 0, err, QVK_SHAPE,
               "%s: in_features %lld is not divisible by group_size %lld", name, (long long)desc->sizes[1],
               (long long)g);
    QVK__CHECK(desc->sizes[1] > 0, err, QVK_SHAPE, "%s: in_features is 0", name);
    return QVK_OK;
}

/* Finds what to quantize and forms all scales, before anything in the program changes. */
static qvk_status collect(torchao *self, qvk_error *err)
{
    qvk__graph *graph = &self->program->graph;

    for (size_t i = 0; i < graph->nodes.count; i++) {
        const qvk__node *node = &graph->nodes.data[i];
        bool embedding = false;
        const char *module = quantizable_module(self, node, &embedding);
        target t = {.module = module, .is_embedding = embedding};
        const char *name;
        const qvk__value *value;
        qvk__weight_scheme scheme;
        int64_t g;

        if (!module)
            continue;
        t.weight = node->args[embedding ? 0 : 1].u.value;
        if (find_target(self, t.weight, embedding))
            continue;
        value = &graph->values.data[t.weight];
        name = parameter_name(self->program, t.weight);
        t.prefix = qvk__arena_strndup(&graph->arena, name, strlen(name) - strlen("weight"));
        QVK__CHECK(t.prefix, err, QVK_OUT_OF_MEMORY, "out of memory");
        QVK__TRY(check_weight(self->config, value, name, err));
        scheme = scheme_of(self->config, value->desc.dtype);
        g = self->config->granularity.group_size ? self->config->granularity.group_size
                                                 : value->desc.sizes[1];
        QVK__TRY(qvk__quantized_weight_create(&graph->arena, value->constant, &self->program->file, name,
                                              value->desc.sizes[0], value->desc.sizes[1], g, &scheme,
                                              &t.quantized, err));
        QVK__CHECK(QVK__VEC_PUSH(&self->targets, t), err, QVK_OUT_OF_MEMORY, "out of memory");
        if (self->params && self->params->progress)
            self->params->progress(self->params->progress_user, i + 1, graph->nodes.count, module);
    }
    return QVK_OK;
}

/* Placeholder name as torch.export forms it: "p_" + the name with dots as underscores. */
static const char *placeholder_name(torchao *self, const char *target_name)
{
    char *name = qvk__arena_printf(&self->program->graph.arena, "p_%s", target_name);
    for (char *c = name; c && *c; c++)
        *c = *c == '.' ? '_' : *c;
    return name ? qvk__rewrite_name(&self->rewrite, name) : NULL;
}

static qvk_status add_original(torchao *self, const target *t, int number, const qvk_tensor *desc,
                               const qvk__constant *constant, int32_t *value, qvk_error *err)
{
    qvk__arena *arena = &self->program->graph.arena;
    const char *name = qvk__arena_printf(arena, "%sparametrizations.weight.original%d", t->prefix, number);
    const char *placeholder = name ? placeholder_name(self, name) : NULL;

    *value = placeholder ? qvk__exported_add_constant(self->program, QVK__INPUT_PARAMETER, placeholder, name,
                                                      desc, constant)
                         : -1;
    QVK__CHECK(*value >= 0, err, QVK_OUT_OF_MEMORY, "%s: out of memory", t->module);
    return QVK_OK;
}

static size_t find_spec(const qvk__exported *program, int32_t value)
{
    size_t i = 0;
    while (i < program->inputs.count && program->inputs.data[i].value != value)
        i++;
    return i;
}

/* Moves a placeholder's spec to position `to` (counted without it). */
static void move_spec(qvk__exported *program, int32_t value, size_t to)
{
    qvk__input_spec *specs = program->inputs.data, moved;
    size_t from = find_spec(program, value);

    moved = specs[from];
    memmove(specs + from, specs + from + 1, (program->inputs.count - from - 1) * sizeof *specs);
    memmove(specs + to + 1, specs + to, (program->inputs.count - to - 1) * sizeof *specs);
    specs[to] = moved;
}

/* The new placeholders go where torch registers them: in the weight's place, behind the module's bias. */
static void place_specs(qvk__exported *program, const target *t)
{
    const qvk__input_spec *specs = program->inputs.data;
    size_t at = find_spec(program, t->weight) + 1, length = strlen(t->prefix);

    if (at < program->inputs.count && specs[at].target && strncmp(specs[at].target, t->prefix, length) == 0 &&
        strcmp(specs[at].target + length, "bias") == 0)
        at++;
    move_spec(program, t->integers, at);
    move_spec(program, t->scale, at + 1);
    move_spec(program, t->zero_point, at + 2);
}

static qvk_status add_placeholders(torchao *self, target *t, qvk_error *err)
{
    qvk__quantized_weight *w = t->quantized;
    qvk_tensor ints = {QVK_DTYPE_I8, 2, {w->rows, w->columns}, NULL};
    qvk_tensor scale = {w->scheme.scale_dtype, 2, {w->rows, w->groups}, NULL};
    qvk_tensor zero_point = {QVK_DTYPE_I8, 2, {w->rows, w->groups}, NULL};

    QVK__TRY(add_original(self, t, 0, &ints, &w->integers, &t->integers, err));
    QVK__TRY(add_original(self, t, 1, &scale, &w->scale_constant, &t->scale, err));
    QVK__TRY(add_original(self, t, 2, &zero_point, &w->zero_point_constant, &t->zero_point, err));
    place_specs(self->program, t);
    return QVK_OK;
}

static qvk__arg ints_arg(const int64_t *ints, int n)
{
    return (qvk__arg){.kind = QVK__ARG_INTS, .count = (uint32_t)n, .u.ints = ints};
}

static int torch_scalar_type(qvk_dtype dtype)
{
    return qvk__dtype_code(dtype, QVK__DTYPE_PTE);
}

/* dequantize_affine of the weight; *out is the float weight's value. */
static qvk_status emit_weight(torchao *self, const target *t, const qvk__node *origin, int32_t *out,
                              qvk_error *err)
{
    const qvk__quantized_weight *w = t->quantized;
    const int64_t block[2] = {1, w->group_size};
    qvk_dtype dtype = w->scheme.weight_dtype;
    qvk_tensor desc = {dtype, 2, {w->rows, w->columns}, NULL};
    const qvk__arg args[] = {
        qvk__arg_from_value(t->integers),    ints_arg(block, 2),
        qvk__arg_from_value(t->scale),       qvk__arg_from_value(t->zero_point),
        qvk__arg_from_int(SCALAR_TYPE_INT8), qvk__arg_from_int(w->scheme.qmin),
        qvk__arg_from_int(w->scheme.qmax),   qvk__arg_from_int(torch_scalar_type(dtype)),
    };

    *out = qvk__rewrite_value(&self->rewrite, "dequantize_affine", &desc, NULL);
    QVK__CHECK(*out >= 0, err, QVK_OUT_OF_MEMORY, "%s: out of memory", t->module);
    return qvk__rewrite_node(&self->rewrite, QVK__OP_TORCHAO_DEQUANTIZE_AFFINE,
                             self->program->graph.values.data[*out].name, origin, args, QVK__COUNT(args), out,
                             1, err);
}

/* The activation's way to int8 and back: one block per token (all of the last dimension). *out: the
 * dequantized value. */
static qvk_status emit_activation(torchao *self, const qvk__node *origin, int32_t x, int32_t *out,
                                  qvk_error *err)
{
    qvk__rewrite *rewrite = &self->rewrite;
    qvk__value *values = self->program->graph.values.data;
    qvk_tensor desc = values[x].desc, per_token = desc, ints = desc, zeros;
    int32_t syms[QVK_MAX_RANK], qparams[2], quantized;
    int64_t block[QVK_MAX_RANK];

    memcpy(syms, values[x].syms, sizeof syms);
    for (int i = 0; i < desc.rank; i++)
        block[i] = i + 1 < desc.rank ? 1 : desc.sizes[i];
    per_token.rank = desc.rank - 1;
    zeros = per_token;
    zeros.dtype = ints.dtype = QVK_DTYPE_I8;
    {
        const qvk__arg args[] = {
            qvk__arg_from_value(x),
            {.kind = QVK__ARG_STRING, .u.s = "ASYMMETRIC"},
            ints_arg(block, desc.rank),
            qvk__arg_from_int(SCALAR_TYPE_INT8),
            qvk__arg_from_int(-128),
            qvk__arg_from_int(127),
            {.kind = QVK__ARG_NULL},
            {.kind = QVK__ARG_NULL},
            qvk__arg_from_int(SCALAR_TYPE_INT8),
            qvk__arg_from_bool(false),
        };
        qparams[0] = qvk__rewrite_value(rewrite, "getitem", &per_token, syms);
        qparams[1] = qvk__rewrite_value(rewrite, "getitem", &zeros, syms);
        QVK__TRY(qvk__rewrite_node(rewrite, QVK__OP_TORCHAO_CHOOSE_QPARAMS_AFFINE,
                                   qvk__rewrite_name(rewrite, "choose_qparams_affine"), origin, args,
                                   QVK__COUNT(args), qparams, 2, err));
    }
    /* The way back takes what the way there took, and the data type besides. */
    qvk__arg args[] = {
        qvk__arg_from_value(x),
        ints_arg(block, desc.rank),
        qvk__arg_from_value(qparams[0]),
        qvk__arg_from_value(qparams[1]),
        qvk__arg_from_int(SCALAR_TYPE_INT8),
        qvk__arg_from_int(-128),
        qvk__arg_from_int(127),
        qvk__arg_from_int(torch_scalar_type(desc.dtype)),
    };
    quantized = qvk__rewrite_value(rewrite, "quantize_affine", &ints, syms);
    QVK__CHECK(quantized >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(qvk__rewrite_node(rewrite, QVK__OP_TORCHAO_QUANTIZE_AFFINE,
                               self->program->graph.values.data[quantized].name, origin, args,
                               QVK__COUNT(args) - 1, &quantized, 1, err));
    args[0] = qvk__arg_from_value(quantized);
    *out = qvk__rewrite_value(rewrite, "dequantize_affine", &desc, syms);
    QVK__CHECK(*out >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    return qvk__rewrite_node(rewrite, QVK__OP_TORCHAO_DEQUANTIZE_AFFINE,
                             self->program->graph.values.data[*out].name, origin, args, QVK__COUNT(args), out,
                             1, err);
}

static qvk_status rewrite_node(torchao *self, size_t index, qvk_error *err)
{
    qvk__node *node = &self->rewrite.old[index];
    bool embedding = node->op == QVK__OP_EMBEDDING;
    int slot = embedding ? 0 : 1;
    target *t = NULL;
    int32_t value;

    if ((node->op == QVK__OP_LINEAR || embedding) && node->args[slot].kind == QVK__ARG_VALUE)
        t = find_target(self, node->args[slot].u.value, embedding);
    if (t) {
        if (self->config->kind == QVK_CONFIG_INT8_DYNAMIC_ACTIVATION_INTX_WEIGHT && !embedding) {
            QVK__TRY(emit_activation(self, node, node->args[0].u.value, &value, err));
            node->args[0] = qvk__arg_from_value(value);
        }
        QVK__TRY(emit_weight(self, t, node, &value, err));
        node->args[slot] = qvk__arg_from_value(value);
    }
    return qvk__rewrite_keep(&self->rewrite, index, err);
}

static qvk_status check_config(const qvk_quant_config *config, qvk_error *err)
{
    QVK__CHECK(config->kind == QVK_CONFIG_INTX_WEIGHT_ONLY ||
                   config->kind == QVK_CONFIG_INT8_DYNAMIC_ACTIVATION_INTX_WEIGHT,
               err, QVK_INVALID_ARGUMENT, "quantize: config kind %d is none", (int)config->kind);
    QVK__CHECK(config->weight_bits >= 0 && config->weight_bits <= 8, err, QVK_INVALID_ARGUMENT,
               "quantize: weight_bits %d, possible are 1 to 8", config->weight_bits);
    QVK__CHECK(config->granularity.group_size >= 0, err, QVK_INVALID_ARGUMENT,
               "quantize: group_size %lld is negative", (long long)config->granularity.group_size);
    QVK__CHECK(config->scale_dtype == QVK_DTYPE_NONE || config->scale_dtype == QVK_DTYPE_F32 ||
                   config->scale_dtype == QVK_DTYPE_F16 || config->scale_dtype == QVK_DTYPE_BF16,
               err, QVK_INVALID_ARGUMENT, "quantize: scales cannot be %s",
               qvk_dtype_name(config->scale_dtype));
    QVK__CHECK(config->choose_qparams == QVK_CHOOSE_QPARAMS_AFFINE ||
                   config->mapping_type == QVK_MAPPING_SYMMETRIC,
               err, QVK_INVALID_ARGUMENT, "quantize: HQQ scales need symmetric mapping");
    return QVK_OK;
}

qvk_status qvk__quantize_torchao(qvk__exported *program, const qvk_quant_config *config,
                                 const qvk_quantize_params *params, qvk_error *err)
{
    qvk_status status = QVK_OK;
    torchao self = {.program = program, .config = config, .params = params};

    QVK__TRY(check_config(config, err));
    QVK__TRY_GO(collect(&self, err));
    QVK__CHECK_GO(self.targets.count > 0, err, QVK_UNSUPPORTED, "%s: no linear layer to quantize",
                  program->source ? program->source : "program");
    QVK__TRY_GO(qvk__rewrite_begin(program, &self.rewrite, err));
    for (size_t i = 0; i < self.targets.count; i++)
        QVK__TRY_GO(add_placeholders(&self, &self.targets.data[i], err));
    for (size_t i = 0; i < self.rewrite.n_old; i++)
        QVK__TRY_GO(rewrite_node(&self, i, err));
    qvk__exported_drop_unused_constants(program);
done:
    qvk__rewrite_end(&self.rewrite);
    free(self.targets.data);
    return status;
}
