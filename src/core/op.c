/* The operator table made from ops.def, and look-up by name. */
#include "core/op.h"

#include "core/shape.h"

/* NONE in the table's `shape` column: no rule. After shape.h, which declares the name like any other. */
#define qvk__shape_NONE NULL

static const qvk__op_info table[QVK__OP_COUNT] = {
    [QVK__OP_NONE] = {"", NULL, "", NULL},
#define OP(id, name, out, shape, reference, plan, schema)                                                    \
    [QVK__OP_##id] = {name, out, schema, qvk__shape_##shape},
#include "core/ops.def"
#undef OP
};

const qvk__op_info *qvk__op_info_of(qvk__op op)
{
    return &table[(unsigned)op < QVK__OP_COUNT ? op : QVK__OP_NONE];
}

const char *qvk__op_name(qvk__op op)
{
    return qvk__op_info_of(op)->name;
}

qvk__op qvk__op_find(const char *name)
{
    for (int i = 1; i < QVK__OP_COUNT; i++)
        if (strcmp(table[i].name, name) == 0)
            return (qvk__op)i;
    return QVK__OP_NONE;
}

/* Does a row's "aten.add.Tensor" begin with a .pte's "aten::add", up to the overload? Returns the overload,
 * or NULL. */
static const char *match_kernel_name(const char *row, const char *name)
{
    for (; *name; row++, name++) {
        if (name[0] == ':' && name[1] == ':') {
            name++;
            if (*row != '.')
                return NULL;
        } else if (*row != *name) {
            return NULL;
        }
    }
    return *row == '.' ? row + 1 : NULL;
}

qvk__op qvk__op_find_kernel(const char *name, const char *overload)
{
    for (int i = 1; i < QVK__OP_COUNT; i++) {
        const char *own = match_kernel_name(table[i].name, name);
        if (!own)
            continue;
        if (strcmp(own, *overload ? overload : "default") == 0 ||
            (table[i].out && strcmp(table[i].out, overload) == 0))
            return (qvk__op)i;
    }
    return QVK__OP_NONE;
}

uint32_t qvk__op_written_args(qvk__op op)
{
    switch (op) {
    case QVK__OP_COPY_INPLACE: return 1u << 0;
    case QVK__OP_LLAMA_UPDATE_CACHE: return 1u << 1;
    case QVK__OP_LLAMA_SDPA_WITH_KV_CACHE: return 1u << 3 | 1u << 4;
    default: return 0;
    }
}
