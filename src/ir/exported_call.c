/* Building exported programs: inputs, calls with inferred outputs, outputs. */
#include "core/dtype.h"
#include "ir/infer_composite.h"
#include "ir/ir.h"
#include "ir/symbolic_fit.h"

/* ---- names --------------------------------------------------------------------------------------------- */

/* Names of values that were there before (a program from a file) count too. */
static bool index_names(qvk__exported *program)
{
    if (program->names.count > 0)
        return true;
    for (size_t i = 0; i < program->graph.values.count; i++)
        if (!qvk__map_set(&program->names, program->graph.values.data[i].name, 0))
            return false;
    return true;
}

/* "linear", then "linear_1", "linear_2" ... */
static const char *fresh_name(qvk__exported *program, const char *wanted, size_t length)
{
    qvk__arena *arena = &program->graph.arena;
    const char *stem = qvk__arena_strndup(arena, wanted, length), *name = stem;
    int64_t count = 0, ignored;

    if (!stem || !index_names(program))
        return NULL;
    if (qvk__map_get(&program->names, stem, &count)) {
        do
            name = qvk__arena_printf(arena, "%s_%lld", stem, (long long)++count);
        while (name && qvk__map_get(&program->names, name, &ignored));
        if (!name || !qvk__map_set(&program->names, stem, count))
            return NULL;
    }
    return qvk__map_set(&program->names, name, 0) ? name : NULL;
}

/* ---- inputs and outputs -------------------------------------------------------------------------------- */

static bool add_symbol(qvk__exported *program, int64_t most, int32_t *out)
{
    const char *name = qvk__arena_printf(&program->graph.arena, "s%zu", program->ranges.count);

    if (!name || !qvk__exported_set_range(program, name, 1, most))
        return false;
    *out = qvk__expression_symbol(program, name);
    if (*out < 0)
        return false;
    program->expressions.data[*out].hint = most;
    return true;
}

int32_t qvk__exported_add_input(qvk__exported *program, const char *name, const qvk_tensor *desc,
                                uint32_t dynamic)
{
    const char *unique = fresh_name(program, name, strlen(name));
    int32_t id = unique ? qvk__graph_add_value(&program->graph, unique, desc) : -1;

    if (id < 0 || !QVK__VEC_PUSH(&program->inputs, (qvk__input_spec){.kind = QVK__INPUT_USER, .value = id}) ||
        !QVK__VEC_PUSH(&program->graph.inputs, id) || !QVK__VEC_PUSH(&program->forward_arg_names, unique))
        return -1;
    for (int i = 0; i < desc->rank; i++)
        if (dynamic >> i & 1 && !add_symbol(program, desc->sizes[i], &program->graph.values.data[id].syms[i]))
            return -1;
    return id;
}

bool qvk__exported_add_output(qvk__exported *program, int32_t value)
{
    const qvk__output_spec spec = {.kind = QVK__OUTPUT_USER, .output = (int32_t)program->graph.outputs.count};

    return QVK__VEC_PUSH(&program->outputs, spec) && QVK__VEC_PUSH(&program->graph.outputs, value);
}

/* ---- inference at one point ---------------------------------------------------------------------------- */

/* A choice for every symbol, by index into ranges. */
typedef struct point {
    const qvk__exported *program;
    const int64_t *symbols;
    qvk_tensor *tensors; /* per value, filled on demand */
    bool failed;
} point;

static int64_t symbol_at(void *user, const char *symbol)
{
    const point *p = user;

    for (size_t i = 0; i < p->program->ranges.count; i++)
        if (strcmp(p->program->ranges.data[i].symbol, symbol) == 0)
            return p->symbols[i];
    return 1;
}

static int64_t size_at(point *p, int32_t expression)
{
    int64_t size = 1;

    if (qvk__expression_eval(p->program, expression, symbol_at, p, &size, NULL) != QVK_OK || size < 0)
        p->failed = true;
    return size;
}

static const qvk_tensor *tensor_at(void *user, int32_t id)
{
    point *p = user;
    const qvk__value *value = &p->program->graph.values.data[id];
    qvk_tensor *tensor = &p->tensors[id];

    if (value->kind != QVK__VALUE_TENSOR)
        return NULL;
    *tensor = value->desc;
    for (int i = 0; i < tensor->rank; i++)
        if (value->syms[i] >= 0)
            tensor->sizes[i] = size_at(p, value->syms[i]);
    return tensor;
}

static int64_t number_at(void *user, int32_t id)
{
    point *p = user;
    const qvk__value *value = &p->program->graph.values.data[id];

    return value->sym >= 0 ? size_at(p, value->sym) : value->symbol_value;
}

/* The call being built. */
typedef struct call {
    qvk__exported *program;
    qvk__op op;
    const qvk__arg *args;
    int n_args, n_outs;
    qvk_tensor *tensors; /* per value: scratch of `point` */
    qvk__arena scratch;
} call;

static qvk_status resolve_at(call *c, const int64_t *symbols, qvk__arg **out, qvk_error *err)
{
    point p = {c->program, symbols, c->tensors, false};
    const qvk__resolver resolver = {tensor_at, number_at, &p};
    qvk__arg *args = qvk__arena_alloc(&c->scratch, (uint64_t)c->n_args, sizeof *args);

    QVK__CHECK(args && qvk__args_resolve(c->args, c->n_args, &resolver, &c->scratch, args), err,
               QVK_OUT_OF_MEMORY, "out of memory");
    QVK__CHECK(!p.failed, err, QVK_SHAPE, "%s: a symbolic size has no value", qvk__op_name(c->op));
    *out = args;
    return QVK_OK;
}

/* Shapes of the outputs with symbols at these values. */
static qvk_status infer_at(call *c, const int64_t *symbols, qvk_tensor *outs, qvk_error *err)
{
    qvk__arg *args;

    QVK__TRY(resolve_at(c, symbols, &args, err));
    memset(outs, 0, (size_t)c->n_outs * sizeof *outs);
    return qvk__composite_infer(c->op, args, c->n_args, outs, c->n_outs, err);
}

/* ---- symbolic sizes ------------------------------------------------------------------------------------ */

typedef struct term_list {
    const qvk__exported *program;
    qvk__fit *fit;
} term_list;

static void add_term(qvk__fit *fit, int32_t expression)
{
    for (int i = 0; i < fit->n_terms; i++)
        if (fit->terms[i] == expression)
            return;
    if (expression >= 0 && fit->n_terms < QVK__FIT_TERMS)
        fit->terms[fit->n_terms++] = expression;
}

static void collect_terms(int32_t id, void *user)
{
    term_list *list = user;
    const qvk__value *value = &list->program->graph.values.data[id];

    add_term(list->fit, value->sym);
    for (int i = 0; i < value->desc.rank && value->kind == QVK__VALUE_TENSOR; i++)
        add_term(list->fit, value->syms[i]);
}

static int64_t upper(const qvk__range *range)
{
    return range->max == INT64_MAX ? QVK__MAX(range->min, 1) + 64 : range->max;
}

/* Point 0 is the upper bounds, the others are random; 1 is avoided, since it broadcasts. twins: which earlier
 * symbol a symbol must equal, itself when none. */
static void choose_point(const qvk__exported *program, int k, const size_t *twins, uint64_t *state,
                         int64_t *symbols)
{
    for (size_t i = 0; i < program->ranges.count; i++) {
        const qvk__range *range = &program->ranges.data[i];
        int64_t high = upper(range), low = QVK__MIN(QVK__MAX(range->min, 2), high);
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        symbols[i] = k == 0 ? high : low + (int64_t)((*state >> 33) % (uint64_t)(high - low + 1));
        if (twins[i] != i)
            symbols[i] = symbols[twins[i]];
    }
}

/* Asks the shape rule at several points; answers[point * n_outs + out]. Returns how many it refused. */
static int ask(call *c, qvk__fit *fit, const size_t *twins, int64_t *symbols, qvk_tensor *answers)
{
    uint64_t state = 1;
    int refused = 0;

    fit->n_points = 0;
    for (int k = 0; fit->n_points < QVK__FIT_POINTS && refused < 4 * QVK__FIT_POINTS; k++) {
        point p = {c->program, symbols, c->tensors, false};
        choose_point(c->program, k, twins, &state, symbols);
        if (infer_at(c, symbols, &answers[fit->n_points * c->n_outs], NULL) != QVK_OK) {
            refused++;
            continue;
        }
        for (int t = 0; t < fit->n_terms; t++)
            fit->values[t][fit->n_points] = size_at(&p, fit->terms[t]);
        fit->n_points++;
    }
    return refused;
}

/* Two symbols that the operator wants equal (a sum of two dynamic inputs): it takes the upper bounds, but not
 * when one of the two is less. */
static void find_twins(call *c, int64_t *symbols, qvk_tensor *outs, size_t *twins)
{
    const qvk__exported *program = c->program;
    uint64_t state = 1;

    for (size_t i = 0; i < program->ranges.count; i++) {
        for (size_t j = 0; j < i && twins[i] == i; j++) {
            int64_t high = upper(&program->ranges.data[i]);
            if (high != upper(&program->ranges.data[j]) || high < 3)
                continue;
            choose_point(program, 0, twins, &state, symbols);
            symbols[i] = high - 1;
            if (infer_at(c, symbols, outs, NULL) == QVK_OK)
                break; /* free of any other */
            symbols[j] = high - 1;
            if (infer_at(c, symbols, outs, NULL) == QVK_OK)
                twins[i] = j;
        }
    }
}

static qvk_status fit_outputs(call *c, const qvk__fit *fit, const qvk_tensor *answers, const int32_t *outs,
                              qvk_error *err)
{
    for (int o = 0; o < c->n_outs; o++) {
        qvk__value *value = &c->program->graph.values.data[outs[o]];
        for (int d = 0; d < value->desc.rank; d++) {
            int64_t sizes[QVK__FIT_POINTS];
            for (int k = 0; k < fit->n_points; k++)
                sizes[k] = answers[k * c->n_outs + o].sizes[d];
            QVK__CHECK(qvk__fit_size(c->program, fit, sizes, &value->syms[d]), err, QVK_UNSUPPORTED,
                       "%s: size %d of output %d is no simple expression of the input sizes",
                       qvk__op_name(c->op), d, o);
        }
    }
    return QVK_OK;
}

static qvk_status find_symbolic_sizes(call *c, const int32_t *outs, qvk_error *err)
{
    qvk__fit fit = {.n_terms = 0};
    term_list list = {c->program, &fit};
    size_t n_symbols = c->program->ranges.count, *twins;
    int64_t *symbols;
    qvk_tensor *answers;

    for (int i = 0; i < c->n_args; i++)
        qvk__arg_visit_values(&c->args[i], collect_terms, &list);
    if (fit.n_terms == 0)
        return QVK_OK;
    symbols = qvk__arena_alloc(&c->scratch, n_symbols, sizeof *symbols);
    twins = qvk__arena_alloc(&c->scratch, n_symbols, sizeof *twins);
    answers = qvk__arena_alloc(&c->scratch, (uint64_t)c->n_outs * QVK__FIT_POINTS, sizeof *answers);
    QVK__CHECK(symbols && twins && answers, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < n_symbols; i++)
        twins[i] = i;
    if (ask(c, &fit, twins, symbols, answers) > 0) {
        find_twins(c, symbols, answers, twins);
        ask(c, &fit, twins, symbols, answers);
    }
    QVK__CHECK(fit.n_points > 0, err, QVK_SHAPE, "%s: no dynamic size fits it", qvk__op_name(c->op));
    return fit_outputs(c, &fit, answers, outs, err);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

/* "aten.linear.default" -> "linear"; one of several outputs is what torch calls getitem. */
static const char *output_name(qvk__exported *program, qvk__op op, int n_outs)
{
    const char *name = qvk__op_name(op), *dot = strchr(name, '.');

    if (n_outs > 1)
        return fresh_name(program, "getitem", strlen("getitem"));
    name = dot ? dot + 1 : name;
    return fresh_name(program, name, strcspn(name, "."));
}

/* Sizes of symbolic integers: the operators on them are those of expressions. */
static int32_t symbol_expression(const call *c)
{
    qvk__exported *program = c->program;
    int32_t terms[2] = {-1, -1};
    int64_t axis;

    if (c->op == QVK__OP_SYM_SIZE_INT) {
        const qvk__value *value = &program->graph.values.data[c->args[0].u.value];
        if (qvk__arg_int(&c->args[1], "dim", &axis, NULL) != QVK_OK)
            return -1;
        axis += axis < 0 ? value->desc.rank : 0;
        return value->syms[axis] >= 0 ? value->syms[axis]
                                      : qvk__expression_constant(program, value->desc.sizes[axis]);
    }
    for (int i = 0; i < c->n_args && i < 2; i++)
        terms[i] = c->args[i].kind == QVK__ARG_VALUE ? program->graph.values.data[c->args[i].u.value].sym
                   : c->args[i].kind == QVK__ARG_INT ? qvk__expression_constant(program, c->args[i].u.i)
                                                     : -1;
    switch (c->op) {
    case QVK__OP_SYM_ADD: return qvk__expression_add(program, QVK__EXPRESSION_ADD, terms[0], terms[1]);
    case QVK__OP_SYM_MUL: return qvk__expression_add(program, QVK__EXPRESSION_MUL, terms[0], terms[1]);
    case QVK__OP_SYM_FLOORDIV:
        return qvk__expression_add(program, QVK__EXPRESSION_FLOORDIV, terms[0], terms[1]);
    case QVK__OP_SYM_MOD: return qvk__expression_add(program, QVK__EXPRESSION_MOD, terms[0], terms[1]);
    case QVK__OP_SYM_MAX: return qvk__expression_add(program, QVK__EXPRESSION_MAX, terms[0], terms[1]);
    case QVK__OP_SYM_MIN: return qvk__expression_add(program, QVK__EXPRESSION_MIN, terms[0], terms[1]);
    case QVK__OP_SYM_SUB:
    case QVK__OP_SYM_NEG: {
        int32_t minus = qvk__expression_constant(program, -1);
        int32_t last = c->op == QVK__OP_SYM_NEG ? terms[0] : terms[1];
        int32_t negative = qvk__expression_add(program, QVK__EXPRESSION_MUL, minus, last);
        return c->op == QVK__OP_SYM_NEG
                   ? negative
                   : qvk__expression_add(program, QVK__EXPRESSION_ADD, terms[0], negative);
    }
    default: return -1;
    }
}

static qvk_status make_symbol(call *c, const int64_t *symbols, int32_t *out, qvk_error *err)
{
    const char *name = output_name(c->program, c->op, 1);
    int32_t id = name ? qvk__graph_add_value(&c->program->graph, name, NULL) : -1;
    qvk__value *value;
    qvk__arg *args;

    QVK__CHECK(id >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    value = &c->program->graph.values.data[id];
    QVK__TRY(resolve_at(c, symbols, &args, err));
    QVK__TRY(qvk__op_eval_symbol(c->op, args, c->n_args, &value->symbol_value, err));
    value->desc.dtype = c->op >= QVK__OP_SYM_EQ && c->op <= QVK__OP_SYM_GE ? QVK_DTYPE_BOOL : QVK_DTYPE_I64;
    value->sym = symbol_expression(c);
    *out = id;
    return QVK_OK;
}

static qvk_status make_tensors(call *c, const int64_t *symbols, int32_t *outs, qvk_error *err)
{
    qvk_tensor *inferred = qvk__arena_alloc(&c->scratch, (uint64_t)c->n_outs, sizeof *inferred);

    QVK__CHECK(inferred, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(infer_at(c, symbols, inferred, err));
    for (int i = 0; i < c->n_outs; i++) {
        const char *name = output_name(c->program, c->op, c->n_outs);
        outs[i] = name ? qvk__graph_add_value(&c->program->graph, name, &inferred[i]) : -1;
        QVK__CHECK(outs[i] >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

static qvk_status build(call *c, int32_t *node, qvk_error *err)
{
    qvk__exported *program = c->program;
    qvk__signature signature;
    int64_t *symbols = qvk__arena_alloc(&c->scratch, program->ranges.count, sizeof *symbols);
    int32_t *outs;
    qvk__arg *args;

    c->tensors = qvk__arena_alloc(&c->scratch, program->graph.values.count, sizeof *c->tensors);
    QVK__CHECK(symbols && c->tensors, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < program->ranges.count; i++)
        symbols[i] = upper(&program->ranges.data[i]);
    qvk__op_signature(c->op, &signature);
    QVK__TRY(resolve_at(c, symbols, &args, err));
    QVK__TRY(qvk__composite_count_outputs(c->op, args, c->n_args, &c->n_outs, err));
    outs = qvk__arena_alloc(&c->scratch, (uint64_t)c->n_outs, sizeof *outs);
    QVK__CHECK(outs, err, QVK_OUT_OF_MEMORY, "out of memory");
    if (signature.returns_symbol) {
        QVK__TRY(make_symbol(c, symbols, outs, err));
    } else {
        QVK__TRY(make_tensors(c, symbols, outs, err));
        QVK__TRY(find_symbolic_sizes(c, outs, err));
    }
    *node = qvk__graph_add_node(&program->graph, c->op, NULL, c->args, c->n_args, outs, c->n_outs);
    QVK__CHECK(*node >= 0, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_status qvk__exported_call(qvk__exported *program, qvk__op op, const qvk__arg *args, int n_args,
                              int32_t *node, qvk_error *err)
{
    call c = {.program = program, .op = op, .args = args, .n_args = n_args};
    qvk_status status = build(&c, node, err);

    qvk__arena_free(&c.scratch);
    return status;
}
