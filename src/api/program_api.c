/* Exported programs: the caller is checked here; reading and writing is src/pt2. */
#include "api/program_internal.h"
#include "pt2/pt2.h"

qvk_status qvk_program_load(const char *path, qvk_program **out, qvk_error *err)
{
    qvk_program *program;
    qvk_status status;

    QVK__CHECK(path && out, err, QVK_INVALID_ARGUMENT, "path and out must not be NULL");
    program = qvk__alloc_zeroed(1, sizeof *program);
    QVK__CHECK(program, err, QVK_OUT_OF_MEMORY, "out of memory");
    status = qvk__pt2_read(path, &program->exported, err);
    if (status != QVK_OK) {
        free(program);
        return status;
    }
    *out = program;
    return QVK_OK;
}

qvk_status qvk_program_save(const qvk_program *program, const char *path, qvk_error *err)
{
    QVK__CHECK(program && path, err, QVK_INVALID_ARGUMENT, "program and path must not be NULL");
    QVK__CHECK(!program->prepared, err, QVK_INVALID_ARGUMENT,
               "the program is prepared for calibration: call qvk_convert_pt2e first");
    return qvk__pt2_write(&program->exported, path, err);
}

void qvk_program_destroy(qvk_program **program)
{
    if (!program || !*program)
        return;
    if ((*program)->unprepare)
        (*program)->unprepare(*program);
    qvk__exported_finish(&(*program)->exported);
    free(*program);
    *program = NULL;
}

/* ---- what it takes and gives --------------------------------------------------------------------------- */

int32_t qvk_program_input_count(const qvk_program *program)
{
    return program ? (int32_t)program->exported.graph.inputs.count : 0;
}

int32_t qvk_program_output_count(const qvk_program *program)
{
    int32_t count = 0;

    for (size_t i = 0; program && i < program->exported.outputs.count; i++)
        count += program->exported.outputs.data[i].kind == QVK__OUTPUT_USER;
    return count;
}

qvk_status qvk_program_input(const qvk_program *program, int32_t index, qvk_tensor *out, qvk_error *err)
{
    QVK__CHECK(program && out, err, QVK_INVALID_ARGUMENT, "program and out must not be NULL");
    QVK__CHECK(index >= 0 && index < qvk_program_input_count(program), err, QVK_INVALID_ARGUMENT,
               "there is no input %ld: the program has %ld", (long)index,
               (long)qvk_program_input_count(program));
    *out = program->exported.graph.values.data[program->exported.graph.inputs.data[index]].desc;
    out->data = NULL;
    return QVK_OK;
}

int32_t qvk_program_node_count(const qvk_program *program)
{
    return program ? (int32_t)program->exported.graph.nodes.count : 0;
}

const char *qvk_program_node_name(const qvk_program *program, int32_t index)
{
    const qvk__value *value;
    const qvk__node *node;

    if (index < 0 || index >= qvk_program_node_count(program))
        return NULL;
    node = &program->exported.graph.nodes.data[index];
    if (node->dead || node->n_outs != 1 || node->outs[0] < 0)
        return NULL;
    value = &program->exported.graph.values.data[node->outs[0]];
    return value->kind == QVK__VALUE_TENSOR ? value->name : NULL;
}

int32_t qvk_program_sample_count(const qvk_program *program)
{
    return program ? (int32_t)program->exported.samples.count : 0;
}

qvk_status qvk_program_sample(const qvk_program *program, int32_t index, qvk_tensor *out, qvk_error *err)
{
    QVK__CHECK(program && out, err, QVK_INVALID_ARGUMENT, "program and out must not be NULL");
    QVK__CHECK(index >= 0 && index < qvk_program_sample_count(program), err, QVK_INVALID_ARGUMENT,
               "there is no sample input %ld: the program has %ld", (long)index,
               (long)qvk_program_sample_count(program));
    *out = program->exported.samples.data[index];
    return QVK_OK;
}
