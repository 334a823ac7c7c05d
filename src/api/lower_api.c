/* Lowering: the caller is checked here; everything else is src/lower and src/program. */
#include "api/api_internal.h"
#include "api/program_internal.h"
#include "lower/lower.h"

/* Value ids of the observed names, in the order of the names. */
static qvk_status find_observed(const qvk_program *program, const char *const *names, int32_t **out,
                                uint32_t *n_out, qvk_error *err)
{
    const qvk__graph *graph = &program->exported.graph;
    qvk_status status = QVK_OK;
    int32_t *ids = NULL;
    qvk__map index = {0};
    uint32_t n = 0;

    while (names && names[n])
        n++;
    *out = NULL;
    *n_out = n;
    if (n == 0)
        return QVK_OK;
    ids = qvk__alloc_zeroed(n, sizeof *ids);
    QVK__CHECK_GO(ids, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (int32_t i = 0; i < qvk_program_node_count(program); i++) {
        const char *name = qvk_program_node_name(program, i);
        QVK__CHECK_GO(!name || qvk__map_set(&index, name, graph->nodes.data[i].outs[0]), err,
                      QVK_OUT_OF_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < n; i++) {
        int64_t id;
        QVK__CHECK_GO(qvk__map_get(&index, names[i], &id), err, QVK_NOT_FOUND,
                      "no node makes a tensor that is called '%s'", names[i]);
        ids[i] = (int32_t)id;
    }
    *out = ids;
    ids = NULL;
done:
    free(ids);
    qvk__map_free(&index);
    return status;
}

qvk_status qvk_to_edge_transform_and_lower(const qvk_program *program,
                                           const qvk_vulkan_partitioner_options *options, qvk_lowered **out,
                                           qvk_error *err)
{
    static const qvk_vulkan_partitioner_options defaults;
    const qvk_vulkan_partitioner_options *o = options ? options : &defaults;
    qvk__lower_params params = {
        .fp16 = o->force_fp16,
        .require_dynamic_shapes = o->require_dynamic_shapes,
        .compat_executorch = o->compat_executorch,
        .block = o->block,
    };
    qvk_lowered *lowered = NULL;
    qvk_status status = QVK_OK;
    int32_t *observed = NULL;

    QVK__CHECK(program && out, err, QVK_INVALID_ARGUMENT, "program and out must not be NULL");
    QVK__CHECK(!program->prepared, err, QVK_INVALID_ARGUMENT,
               "the program is prepared for calibration: call qvk_convert_pt2e first");
    QVK__TRY(find_observed(program, o->observe, &observed, &params.n_extra_outputs, err));
    params.extra_outputs = observed;
    lowered = qvk__alloc_zeroed(1, sizeof *lowered);
    QVK__CHECK_GO(lowered, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(qvk__lower(&program->exported, &params, &lowered->program, &lowered->outside, err));
    *out = lowered;
    lowered = NULL;
done:
    free(lowered);
    free(observed);
    return status;
}

qvk_status qvk_to_executorch(qvk_lowered *lowered, qvk_error *err)
{
    QVK__CHECK(lowered, err, QVK_INVALID_ARGUMENT, "lowered must not be NULL");
    lowered->final = true;
    return QVK_OK;
}

qvk_status qvk_program_write(const qvk_lowered *lowered, const char *path, qvk_error *err)
{
    QVK__CHECK(lowered && path, err, QVK_INVALID_ARGUMENT, "lowered and path must not be NULL");
    QVK__CHECK(lowered->final, err, QVK_INVALID_ARGUMENT, "call qvk_to_executorch before qvk_program_write");
    return qvk__program_write(&lowered->program, path, err);
}

void qvk_lowered_destroy(qvk_lowered **lowered)
{
    if (!lowered || !*lowered)
        return;
    qvk__program_finish(&(*lowered)->program);
    free(*lowered);
    *lowered = NULL;
}

const char *qvk_lowered_outside(const qvk_lowered *lowered)
{
    return lowered && lowered->outside ? lowered->outside : "";
}

qvk_status qvk_module_load_lowered(qvk_context *context, const qvk_lowered *lowered,
                                   const qvk_module_params *params, qvk_module **out, qvk_error *err)
{
    QVK__CHECK(context && lowered && out, err, QVK_INVALID_ARGUMENT,
               "context, lowered and out must not be NULL");
    QVK__CHECK(lowered->final, err, QVK_INVALID_ARGUMENT, "call qvk_to_executorch before loading");
    return qvk__module_create(context, &lowered->program, "lowered program", qvk__clock_ns(), params, out,
                              err);
}
