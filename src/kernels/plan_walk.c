/* Walks: how many dimensions a kernel has to count, and when it may move four elements at once. */
#include <assert.h>

#include "core/dtype.h"
#include "kernels/plan.h"

qvk__walk qvk__walk_of(const qvk_tensor *shape)
{
    qvk__walk walk = {.rank = shape->rank};

    memcpy(walk.sizes, shape->sizes, (size_t)shape->rank * sizeof *walk.sizes);
    return walk;
}

void qvk__walk_add(qvk__walk *walk, const int64_t *strides, int64_t start)
{
    assert(walk->n_sets < QVK__WALK_SETS);
    memcpy(walk->strides[walk->n_sets], strides, (size_t)walk->rank * sizeof *strides);
    walk->start[walk->n_sets++] = start;
}

int64_t qvk__walk_numel(const qvk__walk *walk)
{
    int64_t count = 1;

    for (int i = 0; i < walk->rank; i++)
        count *= walk->sizes[i];
    return count;
}

/* Is dimension `inner`, just inside `outer`, its continuation in every set? */
static bool joins(const qvk__walk *walk, int outer, int inner)
{
    for (int set = 0; set < walk->n_sets; set++)
        if (walk->strides[set][outer] != walk->strides[set][inner] * walk->sizes[inner])
            return false;
    return true;
}

void qvk__walk_collapse(qvk__walk *walk)
{
    int rank = 0;

    for (int i = 0; i < walk->rank; i++) {
        if (walk->sizes[i] == 1)
            continue;
        const bool join = rank > 0 && joins(walk, rank - 1, i);
        rank += !join;
        walk->sizes[rank - 1] = join ? walk->sizes[rank - 1] * walk->sizes[i] : walk->sizes[i];
        for (int set = 0; set < walk->n_sets; set++)
            walk->strides[set][rank - 1] = walk->strides[set][i];
    }
    walk->rank = rank;
}

bool qvk__walk_is_flat(const qvk__walk *walk, int set)
{
    int64_t step = 1;

    for (int i = walk->rank - 1; i >= 0; i--) {
        if (walk->sizes[i] != 1 && walk->strides[set][i] != step)
            return false;
        step *= walk->sizes[i];
    }
    return true;
}

bool qvk__walk_is_quads(const qvk__walk *walk, int set)
{
    const int last = walk->rank - 1;

    if (walk->start[set] % 4 != 0)
        return false;
    if (qvk__walk_is_flat(walk, set))
        return true;
    for (int i = 0; i < last; i++)
        if (walk->strides[set][i] % 4 != 0)
            return false;
    return last >= 0 && walk->sizes[last] % 4 == 0 && walk->strides[set][last] == 1;
}

static void append_words(qvk__dispatch *dispatch, const int64_t *values, int n)
{
    assert(n <= QVK__WALK_RANK);
    for (int i = 0; i < QVK__WALK_RANK; i++)
        qvk__dispatch_int(dispatch, i < n ? values[i] : 0);
}

void qvk__dispatch_sizes(qvk__dispatch *dispatch, const qvk__walk *walk)
{
    append_words(dispatch, walk->sizes, walk->rank);
}

void qvk__dispatch_strides(qvk__dispatch *dispatch, const qvk__walk *walk, int set)
{
    append_words(dispatch, walk->strides[set], walk->rank);
}

qvk_status qvk__walk_check(const qvk__walk *walk, qvk_error *err)
{
    QVK__CHECK(walk->rank <= QVK__WALK_RANK, err, QVK_UNSUPPORTED,
               "%d dimensions that cannot be joined; a device counts %d", walk->rank, QVK__WALK_RANK);
    return QVK_OK;
}
