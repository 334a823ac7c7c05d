/* Tensor indexing: x[i, :, j] with index tensors (aten/src/ATen/native/TensorAdvancedIndexing.cpp). */
#include "core/semantics.h"

static qvk_status read_indices(const qvk__arg *indices, qvk__indexing *out, qvk_error *err)
{
    const int rank = out->self->rank;

    QVK__CHECK(indices->kind == QVK__ARG_LIST && (int64_t)indices->count <= rank, err, QVK_SHAPE,
               "indices: wanted a list of at most %d index tensors", rank);
    for (uint32_t i = 0; i < indices->count; i++) {
        const qvk_tensor *index;
        QVK__TRY(qvk__arg_tensor_or_null(&indices->u.list[i], "indices", &index, err));
        if (!index)
            continue;
        QVK__CHECK(
            index->dtype == QVK_DTYPE_I64 || index->dtype == QVK_DTYPE_I32, err, QVK_UNSUPPORTED,
            "indices: %s index tensors (the shape of the result would depend on the data); wanted int64 or "
            "int32",
            qvk_dtype_name(index->dtype));
        QVK__TRY(qvk__broadcast(index, &out->index_shape, err));
        out->index[i] = index;
    }
    return QVK_OK;
}

/* Where the broadcast indices go: in place of the indexed dimensions when they are neighbours, else in front.
 */
static int place_of_indices(const qvk__indexing *x)
{
    int first = -1, last = -1, n = 0;

    for (int i = 0; i < x->self->rank; i++) {
        if (!x->index[i])
            continue;
        first = first < 0 ? i : first;
        last = i;
        n++;
    }
    return n > 0 && last - first + 1 == n ? first : 0;
}

qvk_status qvk__indexing_of(const qvk_tensor *self, const qvk__arg *indices, qvk__indexing *out,
                            qvk_error *err)
{
    int64_t sizes[2 * QVK_MAX_RANK];
    int source[2 * QVK_MAX_RANK], rank = 0;
    bool placed = false;

    *out = (qvk__indexing){.self = self};
    QVK__TRY(read_indices(indices, out, err));
    out->first = place_of_indices(out);
    for (int dim = 0; dim <= self->rank; dim++) {
        if (!placed && rank == out->first) {
            for (int i = 0; i < out->index_shape.rank; i++) {
                source[rank] = -1;
                sizes[rank++] = out->index_shape.sizes[i];
            }
            placed = true;
        }
        if (dim < self->rank && !out->index[dim]) {
            source[rank] = dim;
            sizes[rank++] = self->sizes[dim];
        }
    }
    QVK__TRY(qvk__set_shape(&out->result, self->dtype, rank, sizes, err));
    memcpy(out->source, source, (size_t)rank * sizeof *source);
    return QVK_OK;
}
