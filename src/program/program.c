/* A program in memory: its end, its named data, what its methods read, and the order of tensor dimensions in
 * files. */
#include "core/dtype.h"
#include "program/pte_reader.h"

void qvk__program_finish(qvk__program *program)
{
    for (uint32_t m = 0; m < program->n_methods; m++)
        for (uint32_t d = 0; d < program->methods[m].n_delegates; d++)
            qvk__graph_finish(&program->methods[m].delegates[d].graph);
    for (size_t i = 0; i < program->extras.count; i++)
        qvk__file_unmap(&program->extras.data[i]);
    free(program->extras.data);
    free(program->named.data);
    qvk__file_unmap(&program->file);
    qvk__arena_free(&program->arena);
    memset(program, 0, sizeof *program);
}

/* ---- named data ---------------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const qvk__named_data *)a)->key, ((const qvk__named_data *)b)->key);
}

qvk_status qvk__program_sort_named(qvk__program *program, qvk_error *err)
{
    qvk__named_data *named = program->named.data;
    size_t count = program->named.count;

    if (count > 0)
        qsort(named, count, sizeof *named, compare_keys);
    for (size_t i = 1; i < count; i++)
        QVK__CHECK(strcmp(named[i - 1].key, named[i].key) != 0, err, QVK_BAD_FORMAT,
                   "two pieces of named data have the key %s", named[i].key);
    return QVK_OK;
}

const qvk__named_data *qvk__program_find(const qvk__program *program, const char *key)
{
    qvk__named_data wanted = {.key = key};

    if (program->named.count == 0)
        return NULL;
    return bsearch(&wanted, program->named.data, program->named.count, sizeof wanted, compare_keys);
}

void qvk__program_let_go(const qvk__program *program, const void *data, uint64_t bytes)
{
    qvk__file_let_go(&program->file, data, bytes);
    for (size_t i = 0; i < program->extras.count; i++)
        qvk__file_let_go(&program->extras.data[i], data, bytes);
}

/* ---- dim_order ----------------------------------------------------------------------------------------- */

bool qvk__dim_order_is_identity(const qvk_tensor *desc, const uint8_t *dim_order)
{
    for (int i = 0; i < desc->rank; i++)
        if (dim_order[i] != i)
            return false;
    return true;
}

/* ---- methods ------------------------------------------------------------------------------------------- */

bool qvk__method_reads(const qvk__method *method, int32_t value)
{
    for (uint32_t i = 0; i < method->n_values; i++) {
        const qvk__evalue *list = &method->values[i];
        for (uint32_t n = 0; list->kind == QVK__EVALUE_INT_LIST && n < list->count; n++)
            if (list->ids[n] == value)
                return true;
    }
    for (uint32_t i = 0; i < method->n_instructions; i++) {
        const qvk__instruction *at = &method->instructions[i];
        if ((at->kind == QVK__INSTRUCTION_MOVE || at->kind == QVK__INSTRUCTION_JUMP_FALSE) &&
            at->index == value)
            return true;
        for (uint32_t a = 0; a < at->n_args; a++)
            if (at->args[a] == value)
                return true;
    }
    return false;
}

/* Gathers `from` by strides into `to`, which is dense. */
static qvk_status gather(const qvk_tensor *desc, const int64_t *sizes, const int64_t *strides,
                         const void *from, void *to, qvk_error *err)
{
    qvk__constant view = {.data = from, .bytes = qvk_tensor_bytes(desc), .strided = true, .rank = desc->rank};
    const void *dense;

    view.element_bytes = (uint32_t)qvk_dtype_bytes(desc->dtype);
    memcpy(view.sizes, sizes, (size_t)desc->rank * sizeof *sizes);
    memcpy(view.strides, strides, (size_t)desc->rank * sizeof *strides);
    QVK__TRY(qvk__constant_bytes(&view, &dense, err));
    memcpy(to, dense, (size_t)view.bytes);
    qvk__constant_release(&view, dense);
    return QVK_OK;
}

qvk_status qvk__reorder_from_file(const qvk_tensor *desc, const uint8_t *dim_order, const void *from,
                                  void *to, qvk_error *err)
{
    int64_t strides[QVK_MAX_RANK], step = 1;

    for (int i = desc->rank - 1; i >= 0; i--) {
        strides[dim_order[i]] = step;
        step *= desc->sizes[dim_order[i]];
    }
    return gather(desc, desc->sizes, strides, from, to, err);
}

qvk_status qvk__reorder_to_file(const qvk_tensor *desc, const uint8_t *dim_order, const void *from, void *to,
                                qvk_error *err)
{
    int64_t own[QVK_MAX_RANK], sizes[QVK_MAX_RANK], strides[QVK_MAX_RANK];

    qvk__strides(desc, own);
    for (int i = 0; i < desc->rank; i++) {
        sizes[i] = desc->sizes[dim_order[i]];
        strides[i] = own[dim_order[i]];
    }
    return gather(desc, sizes, strides, from, to, err);
}
