/*
 * Primitives of a .pte outside its delegates: arithmetic on numbers, sizes of tensors, views and slices of
 * planned memory. Source: ExecuTorch 1.5's prim ops (names "executorch_prim::*", overloads ignored: the
 * operands say whether they are whole numbers).
 */
#include "runtime/session.h"

#include <math.h>

#include "core/dtype.h"
#include "reference/reference.h"

typedef struct number {
    bool is_float;
    int64_t i;
    double f; /* set for whole numbers too */
} number;

static qvk_status read_number(const qvk__slot *slot, const char *name, number *out, qvk_error *err)
{
    switch (slot->kind) {
    case QVK__EVALUE_INT:
    case QVK__EVALUE_BOOL: *out = (number){false, slot->i, (double)slot->i}; return QVK_OK;
    case QVK__EVALUE_DOUBLE: *out = (number){true, 0, slot->f}; return QVK_OK;
    default: return qvk__fail(err, QVK_BAD_FORMAT, "%s: an operand is not a number", name);
    }
}

static qvk_status check_count(const char *name, uint32_t n_args, uint32_t wanted, qvk_error *err)
{
    QVK__CHECK(n_args == wanted, err, QVK_BAD_FORMAT, "%s: %u arguments, wanted %u", name, n_args, wanted);
    return QVK_OK;
}

static void set_int(qvk__slot *slot, int64_t value)
{
    slot->kind = QVK__EVALUE_INT;
    slot->i = value;
}

static void set_bool(qvk__slot *slot, bool value)
{
    slot->kind = QVK__EVALUE_BOOL;
    slot->i = value;
}

static void set_double(qvk__slot *slot, double value)
{
    slot->kind = QVK__EVALUE_DOUBLE;
    slot->f = value;
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

typedef enum operation {
    ADD,
    SUB,
    MUL,
    FLOORDIV,
    MOD,
    TRUEDIV,
    EQ,
    LT,
    LE,
    GT,
    GE,
    MAX,
    MIN,
    NEG,
    NOT,
    TO_FLOAT,
    TO_INT,
    CEIL,
    ROUND,
    TRUNC
} operation;

typedef struct operation_name {
    const char *name;
    operation op;
    uint32_t n_operands;
} operation_name;

static const operation_name operations[] = {
    {"executorch_prim::add", ADD, 2},        {"executorch_prim::sub", SUB, 2},
    {"executorch_prim::mul", MUL, 2},        {"executorch_prim::floordiv", FLOORDIV, 2},
    {"executorch_prim::mod", MOD, 2},        {"executorch_prim::truediv", TRUEDIV, 2},
    {"executorch_prim::eq", EQ, 2},          {"executorch_prim::lt", LT, 2},
    {"executorch_prim::le", LE, 2},          {"executorch_prim::gt", GT, 2},
    {"executorch_prim::ge", GE, 2},          {"executorch_prim::sym_max", MAX, 2},
    {"executorch_prim::sym_min", MIN, 2},    {"executorch_prim::neg", NEG, 1},
    {"executorch_prim::sym_not", NOT, 1},    {"executorch_prim::sym_float", TO_FLOAT, 1},
    {"executorch_prim::sym_int", TO_INT, 1}, {"executorch_prim::ceil", CEIL, 1},
    {"executorch_prim::round", ROUND, 1},    {"executorch_prim::trunc", TRUNC, 1},
};

/* Two's complement wrap instead of undefined overflow. */
static int64_t wrap(uint64_t value)
{
    return (int64_t)value;
}

/* Python's: the quotient rounds down, the remainder has the divisor's sign. */
static int64_t floor_div(int64_t a, int64_t b)
{
    if (b == -1)
        return wrap(0 - (uint64_t)a);
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

static int64_t floor_mod(int64_t a, int64_t b)
{
    const int64_t rest = b == -1 ? 0 : a % b;
    return rest + (rest != 0 && (rest < 0) != (b < 0) ? b : 0);
}

static void compute_ints(operation op, int64_t a, int64_t b, qvk__slot *out)
{
    switch (op) {
    case ADD: set_int(out, wrap((uint64_t)a + (uint64_t)b)); break;
    case SUB: set_int(out, wrap((uint64_t)a - (uint64_t)b)); break;
    case MUL: set_int(out, wrap((uint64_t)a * (uint64_t)b)); break;
    case FLOORDIV: set_int(out, floor_div(a, b)); break;
    case MOD: set_int(out, floor_mod(a, b)); break;
    case MAX: set_int(out, a > b ? a : b); break;
    case MIN: set_int(out, a < b ? a : b); break;
    case EQ: set_bool(out, a == b); break;
    case LT: set_bool(out, a < b); break;
    case LE: set_bool(out, a <= b); break;
    case GT: set_bool(out, a > b); break;
    case GE: set_bool(out, a >= b); break;
    case NEG: set_int(out, wrap(0 - (uint64_t)a)); break;
    case NOT: set_bool(out, a == 0); break;
    case TRUEDIV: set_double(out, (double)a / (double)b); break;
    case TO_FLOAT: set_double(out, (double)a); break;
    default: set_int(out, a); break; /* TO_INT, CEIL, ROUND, TRUNC of a whole number */
    }
}

static void compute_doubles(operation op, double a, double b, qvk__slot *out)
{
    switch (op) {
    case ADD: set_double(out, a + b); break;
    case SUB: set_double(out, a - b); break;
    case MUL: set_double(out, a * b); break;
    case FLOORDIV: set_double(out, floor(a / b)); break;
    case MOD: set_double(out, a - floor(a / b) * b); break;
    case TRUEDIV: set_double(out, a / b); break;
    case MAX: set_double(out, a > b ? a : b); break;
    case MIN: set_double(out, a < b ? a : b); break;
    case EQ: set_bool(out, a == b); break;
    case LT: set_bool(out, a < b); break;
    case LE: set_bool(out, a <= b); break;
    case GT: set_bool(out, a > b); break;
    case GE: set_bool(out, a >= b); break;
    case NEG: set_double(out, -a); break;
    case NOT: set_bool(out, a == 0.0); break;
    case TO_FLOAT: set_double(out, a); break;
    case CEIL: set_int(out, (int64_t)ceil(a)); break;
    case ROUND: set_int(out, (int64_t)nearbyint(a)); break;
    default: set_int(out, (int64_t)trunc(a)); break; /* TO_INT, TRUNC */
    }
}

static const operation_name *find_operation(const char *name)
{
    for (size_t i = 0; i < QVK__COUNT(operations); i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

static bool gives_int(operation op)
{
    return op == TO_INT || op == CEIL || op == ROUND || op == TRUNC;
}

static qvk_status prim_number(qvk__method_state *state, const char *name, const int32_t *args,
                              uint32_t n_args, qvk_error *err)
{
    const operation_name *row = find_operation(name);
    number a = {false, 0, 0.0}, b = {false, 0, 0.0};

    QVK__CHECK(row, err, QVK_INTERNAL, "%s: no such primitive", name);
    QVK__TRY(check_count(name, n_args, row->n_operands + 1, err));
    QVK__TRY(read_number(&state->slots[args[0]], name, &a, err));
    if (row->n_operands == 2)
        QVK__TRY(read_number(&state->slots[args[1]], name, &b, err));
    if (a.is_float || b.is_float) {
        QVK__CHECK(!gives_int(row->op) || fabs(a.f) < 9.2e18, err, QVK_SHAPE,
                   "%s: %g is no 64-bit whole number", name, a.f);
        compute_doubles(row->op, a.f, b.f, &state->slots[args[n_args - 1]]);
        return QVK_OK;
    }
    QVK__CHECK(b.i != 0 || (row->op != FLOORDIV && row->op != MOD && row->op != TRUEDIV), err, QVK_SHAPE,
               "%s: division by zero", name);
    compute_ints(row->op, a.i, b.i, &state->slots[args[n_args - 1]]);
    return QVK_OK;
}

/* sym_ite(condition, a, b) */
static qvk_status prim_choose(qvk__method_state *state, const char *name, const int32_t *args,
                              uint32_t n_args, qvk_error *err)
{
    number condition = {false, 0, 0.0};
    QVK__TRY(check_count(name, n_args, 4, err));
    QVK__TRY(read_number(&state->slots[args[0]], name, &condition, err));
    state->slots[args[3]] = state->slots[condition.f != 0.0 ? args[1] : args[2]];
    return QVK_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static qvk_status read_tensor(const qvk__slot *slot, const char *name, const qvk_tensor **out, qvk_error *err)
{
    QVK__CHECK(slot->kind == QVK__EVALUE_TENSOR, err, QVK_BAD_FORMAT, "%s: an operand is not a tensor", name);
    *out = &slot->tensor;
    return QVK_OK;
}

static qvk_status prim_sym_size(qvk__method_state *state, const char *name, const int32_t *args,
                                uint32_t n_args, qvk_error *err)
{
    const qvk_tensor *x = NULL;
    number dim = {false, 0, 0.0};

    QVK__TRY(check_count(name, n_args, 3, err));
    QVK__TRY(read_tensor(&state->slots[args[0]], name, &x, err));
    QVK__TRY(read_number(&state->slots[args[1]], name, &dim, err));
    dim.i += dim.i < 0 ? x->rank : 0;
    QVK__CHECK(!dim.is_float && dim.i >= 0 && dim.i < x->rank, err, QVK_SHAPE, "%s: no dimension %lld in %s",
               name, (long long)dim.i, qvk__shape_text(x).text);
    set_int(&state->slots[args[2]], x->sizes[dim.i]);
    return QVK_OK;
}

static qvk_status prim_sym_numel(qvk__method_state *state, const char *name, const int32_t *args,
                                 uint32_t n_args, qvk_error *err)
{
    const qvk_tensor *x = NULL;
    QVK__TRY(check_count(name, n_args, 2, err));
    QVK__TRY(read_tensor(&state->slots[args[0]], name, &x, err));
    set_int(&state->slots[args[1]], qvk_tensor_numel(x));
    return QVK_OK;
}

static qvk_status prim_scalar_of(qvk__method_state *state, const char *name, const int32_t *args,
                                 uint32_t n_args, qvk_error *err)
{
    const qvk_tensor *x = NULL;
    qvk__slot *out;

    QVK__TRY(check_count(name, n_args, 2, err));
    QVK__TRY(read_tensor(&state->slots[args[0]], name, &x, err));
    QVK__CHECK(qvk_tensor_numel(x) == 1 && x->data, err, QVK_SHAPE, "%s: a number is wanted of %s", name,
               qvk__shape_text(x).text);
    out = &state->slots[args[1]];
    if (qvk__dtype_is_float(x->dtype))
        set_double(out, qvk__reference_get(x, 0));
    else if (x->dtype == QVK_DTYPE_BOOL)
        set_bool(out, qvk__reference_get_int(x, 0) != 0);
    else
        set_int(out, qvk__reference_get_int(x, 0));
    return QVK_OK;
}

/* et_view(self, size, out): out becomes self's memory under another shape; one size may be -1. */
static qvk_status prim_view(qvk__method_state *state, const char *name, const int32_t *args, uint32_t n_args,
                            qvk_error *err)
{
    const qvk__evalue *list;
    const qvk_tensor *x = NULL;
    qvk__slot *out;
    qvk_tensor view;
    int64_t known = 1;
    int free_dim = -1;

    QVK__CHECK(n_args == 3 || n_args == 4, err, QVK_BAD_FORMAT, "%s: %u arguments, wanted 3", name, n_args);
    QVK__TRY(read_tensor(&state->slots[args[0]], name, &x, err));
    list = &state->method->values[args[1]];
    out = &state->slots[args[2]];
    QVK__CHECK(list->kind == QVK__EVALUE_INT_LIST && list->count <= QVK_MAX_RANK &&
                   out->kind == QVK__EVALUE_TENSOR,
               err, QVK_BAD_FORMAT, "%s: wants a tensor, sizes and a tensor", name);
    view = (qvk_tensor){.dtype = x->dtype, .rank = (int32_t)list->count, .data = x->data};
    for (uint32_t d = 0; d < list->count; d++) {
        number size = {false, 0, 0.0};
        QVK__TRY(read_number(&state->slots[list->ids[d]], name, &size, err));
        view.sizes[d] = size.i;
        if (size.i == -1)
            free_dim = (int)d;
        else
            known *= size.i > 0 && known < INT64_MAX / size.i ? size.i : 0;
    }
    if (free_dim >= 0)
        view.sizes[free_dim] = known > 0 ? qvk_tensor_numel(x) / known : 0;
    QVK__CHECK(qvk_tensor_numel(&view) == qvk_tensor_numel(x) && out->tensor.dtype == x->dtype, err,
               QVK_SHAPE, "%s: %s is no view of %s", name, qvk__shape_text(&view).text,
               qvk__shape_text(x).text);
    out->tensor = out->bound = view;
    return QVK_OK;
}

/* et_copy_index(to, from, index): to[index] = from, and to ends there. */
static qvk_status prim_copy_index(qvk__method_state *state, const char *name, const int32_t *args,
                                  uint32_t n_args, qvk_error *err)
{
    const qvk_tensor *from = NULL;
    qvk__slot *to;
    number index = {false, 0, 0.0};
    size_t bytes;

    QVK__CHECK(n_args == 3 || n_args == 4, err, QVK_BAD_FORMAT, "%s: %u arguments, wanted 3", name, n_args);
    to = &state->slots[args[0]];
    QVK__TRY(read_tensor(&state->slots[args[1]], name, &from, err));
    QVK__TRY(read_number(&state->slots[args[2]], name, &index, err));
    QVK__CHECK(to->kind == QVK__EVALUE_TENSOR && to->tensor.rank == from->rank + 1 &&
                   to->tensor.dtype == from->dtype && index.i >= 0 && index.i < to->bound.sizes[0] &&
                   memcmp(from->sizes, to->bound.sizes + 1, (size_t)from->rank * sizeof(int64_t)) == 0,
               err, QVK_SHAPE, "%s: %s does not go to place %lld of %s", name, qvk__shape_text(from).text,
               (long long)index.i, qvk__shape_text(&to->bound).text);
    bytes = qvk_tensor_bytes(from);
    to->tensor.sizes[0] = index.i + 1;
    if (bytes > 0)
        memmove((char *)to->tensor.data + (size_t)index.i * bytes, from->data, bytes);
    return QVK_OK;
}

/* ---- look-up ------------------------------------------------------------------------------------------- */

typedef struct prim_name {
    const char *name;
    qvk__prim_fn fn;
} prim_name;

static const prim_name prims[] = {
    {"executorch_prim::sym_ite", prim_choose},
    {"executorch_prim::et_view", prim_view},
    {"executorch_prim::et_copy_index", prim_copy_index},
    {"aten::sym_size", prim_sym_size},
    {"aten::sym_numel", prim_sym_numel},
    {"aten::_local_scalar_dense", prim_scalar_of},
};

qvk__prim_fn qvk__prim_find(const char *name)
{
    for (size_t i = 0; i < QVK__COUNT(prims); i++)
        if (strcmp(prims[i].name, name) == 0)
            return prims[i].fn;
    return find_operation(name) ? prim_number : NULL;
}
