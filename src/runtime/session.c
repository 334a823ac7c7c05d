/* A loaded program: its methods, what loading cost, and the profile of the last call. */
#include "runtime/session.h"

static void add_info(qvk__session *session, const qvk__method_state *state)
{
    for (uint32_t i = 0; i < state->method->n_delegates; i++) {
        const qvk_load_info *part = &state->engines[i]->info;
        session->info.upload_ms += part->upload_ms;
        session->info.pipeline_ms += part->pipeline_ms;
        session->info.weight_bytes += part->weight_bytes;
        session->info.activation_bytes += part->activation_bytes;
        session->info.n_dispatches += part->n_dispatches;
        session->info.n_pipelines += part->n_pipelines;
        session->info.n_cpu_steps += part->n_cpu_steps;
        qvk__string_add(&session->cpu_reasons, qvk__engine_cpu_reasons(state->engines[i]));
    }
    for (uint32_t i = 0; session->gpu && i < state->method->n_instructions; i++) {
        const qvk__instruction *at = &state->method->instructions[i];
        if (at->kind != QVK__INSTRUCTION_KERNEL || state->kernels[at->index].prim)
            continue;
        session->info.n_cpu_steps++;
        qvk__string_addf(&session->cpu_reasons, "instruction %u %s: the file keeps it outside the delegate\n",
                         i, state->kernels[at->index].name);
    }
}

qvk_status qvk__session_create(qvk__gpu *gpu, const qvk__program *program, const qvk__session_params *params,
                               qvk__session **out, qvk_error *err)
{
    const uint64_t start = qvk__clock_ns();
    qvk__session *session = qvk__alloc_zeroed(1, sizeof *session);
    qvk_status status = QVK_OK;

    QVK__CHECK(session, err, QVK_OUT_OF_MEMORY, "out of memory");
    session->gpu = gpu;
    session->program = program;
    if (params)
        session->params = *params;
    session->params.program = program;
    session->methods = qvk__alloc_zeroed(program->n_methods, sizeof *session->methods);
    QVK__CHECK_GO(session->methods, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < program->n_methods; i++) {
        QVK__TRY_GO(qvk__method_load(gpu, &program->methods[i], &session->params, &session->methods[i], err));
        add_info(session, &session->methods[i]);
    }
    QVK__CHECK_GO(!session->cpu_reasons.failed, err, QVK_OUT_OF_MEMORY, "out of memory");
    session->info.cpu_reasons = session->cpu_reasons.data ? session->cpu_reasons.data : "";
    session->info.total_ms = (double)(qvk__clock_ns() - start) * 1e-6;
    *out = session;
    return QVK_OK;
done:
    qvk__session_destroy(&session);
    return status;
}

void qvk__session_destroy(qvk__session **session)
{
    qvk__session *it = *session;

    if (!it)
        return;
    for (uint32_t i = 0; it->methods && i < it->program->n_methods; i++)
        qvk__method_unload(&it->methods[i]);
    free(it->methods);
    free(it->cpu_reasons.data);
    free(it);
    *session = NULL;
}

qvk_status qvk__session_run(qvk__session *session, uint32_t method, const qvk_value *inputs,
                            uint32_t n_inputs, qvk_value *outputs, uint32_t n_outputs, qvk_error *err)
{
    const uint64_t start = qvk__clock_ns();
    qvk__method_state *state;
    uint64_t taken;

    QVK__CHECK(method < session->program->n_methods, err, QVK_INVALID_ARGUMENT, "no method %u", method);
    session->last_method = method;
    state = &session->methods[method];
    QVK__TRY(qvk__method_run(state, &session->params, inputs, n_inputs, outputs, n_outputs, err));
    taken = qvk__clock_ns() - start;
    session->last_call =
        (qvk_call_info){(double)(taken - state->wait_ns) * 1e-3, (double)state->wait_ns * 1e-3};
    return QVK_OK;
}

qvk_status qvk__session_reset(qvk__session *session, qvk_error *err)
{
    for (uint32_t i = 0; i < session->program->n_methods; i++)
        QVK__TRY(qvk__method_reset(&session->methods[i], err));
    return QVK_OK;
}

void qvk__session_load_info(const qvk__session *session, qvk_load_info *out)
{
    *out = session->info;
}

void qvk__session_call_info(const qvk__session *session, qvk_call_info *out)
{
    *out = session->last_call;
}

qvk_status qvk__session_profile(const qvk__session *session, qvk_profile_entry *out, size_t *n,
                                qvk_error *err)
{
    const qvk__method_state *state;
    size_t room = *n;

    QVK__CHECK(session->params.profile, err, QVK_INVALID_ARGUMENT,
               "the program was not loaded with profile set");
    if (session->program->n_methods == 0) {
        *n = 0;
        return QVK_OK;
    }
    state = &session->methods[session->last_method];
    for (size_t i = 0; i < state->profile.count && i < room; i++)
        out[i] = state->profile.data[i];
    *n = state->profile.count;
    return QVK_OK;
}
