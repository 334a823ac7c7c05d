/* Bytes of constants: borrowed, lent, made on demand, or gathered from strided storage. */
#include "core/graph.h"

static void gather(const qvk__constant *constant, uint8_t *out)
{
    int64_t index[QVK_MAX_RANK] = {0};
    const uint8_t *storage = constant->data;
    size_t item = constant->element_bytes;
    uint64_t count = constant->bytes / item;

    for (uint64_t i = 0; i < count; i++) {
        int64_t place = constant->storage_offset;
        for (int d = 0; d < constant->rank; d++)
            place += index[d] * constant->strides[d];
        memcpy(out + i * item, storage + (size_t)place * item, item);
        for (int d = constant->rank - 1; d >= 0 && ++index[d] == constant->sizes[d]; d--)
            index[d] = 0;
    }
}

qvk_status qvk__constant_bytes(const qvk__constant *constant, const void **out, qvk_error *err)
{
    qvk_status status = QVK_OK;
    void *made;

    if (constant->data && !constant->strided) {
        *out = constant->data;
        return QVK_OK;
    }
    if (constant->lender)
        return constant->lender->lend(constant, out, err);
    made = qvk__alloc_zeroed(constant->bytes, 1);
    QVK__CHECK(made, err, QVK_OUT_OF_MEMORY, "%s: %llu bytes for a constant",
               constant->name ? constant->name : "constant", (unsigned long long)constant->bytes);
    if (constant->fill)
        status = constant->fill(constant, made, err);
    else if (constant->data)
        gather(constant, made);
    if (status != QVK_OK) {
        free(made);
        return status;
    }
    *out = made;
    return QVK_OK;
}

void qvk__constant_release(const qvk__constant *constant, const void *bytes)
{
    if (bytes && constant->lender)
        constant->lender->take_back(constant, bytes);
    else if (bytes && (!constant->data || constant->strided))
        free((void *)(uintptr_t)bytes);
}
