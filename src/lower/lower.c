#include "lower/lower.h"

#include "lower/edge.h"

static qvk_status run_passes(qvk__edge *edge, qvk__program *out, qvk_error *err)
{
    QVK__TRY(qvk__edge_decompose(edge, err));
    QVK__TRY(qvk__edge_fuse_float(edge, err));
    QVK__TRY(qvk__edge_fuse_quantized(edge, err));
    QVK__TRY(qvk__edge_fold(edge, err));
    return qvk__edge_to_program(edge, out, err);
}

qvk_status qvk__lower(const qvk__exported *program, const qvk__lower_params *params, qvk__program *out,
                      const char **outside, qvk_error *err)
{
    qvk_status status = QVK_OK;
    qvk__edge edge;

    memset(out, 0, sizeof *out);
    QVK__TRY_GO(qvk__edge_begin(program, params, &edge, err));
    QVK__TRY_GO(run_passes(&edge, out, err));
    *outside = qvk__arena_strdup(&out->arena, edge.notes.data ? edge.notes.data : "");
    QVK__CHECK_GO(*outside && !edge.notes.failed, err, QVK_OUT_OF_MEMORY, "out of memory");
    /* Derived constants live in the edge graph's arena: the program keeps it. */
    qvk__arena_adopt(&out->arena, &edge.graph.arena);
done:
    qvk__edge_finish(&edge);
    if (status != QVK_OK) {
        qvk__error_context(err, status, "%s", program->source ? program->source : "program");
        qvk__program_finish(out);
    }
    return status;
}
