/* What is in a file: chosen by its name's ending, printed by the room that reads it. */
#include "qvk/inspect.h"

#include "program/program.h"

#if QVK__WITH_COMPILER
#include "pt2/pt2.h"
#include "pt2/safetensors.h"
#endif

static qvk_status inspect_pte(const char *path, const qvk_inspect_params *params, qvk__string *text,
                              qvk_error *err)
{
    qvk__program program;

    QVK__TRY(qvk__program_read(path, params->data_paths, params->n_data_paths, &program, err));
    if (params->json)
        qvk__program_print_json(&program, params->graph, text);
    else
        qvk__program_print(&program, params->graph, text);
    qvk__program_finish(&program);
    return QVK_OK;
}

#if QVK__WITH_COMPILER
static qvk_status inspect_pt2(const char *path, const qvk_inspect_params *params, qvk__string *text,
                              qvk_error *err)
{
    qvk__exported program;

    QVK__TRY(qvk__pt2_read(path, &program, err));
    if (params->json)
        qvk__exported_print_json(&program, params->graph, text);
    else
        qvk__exported_print(&program, params->graph, text);
    qvk__exported_finish(&program);
    return QVK_OK;
}

static qvk_status inspect_safetensors(const char *path, const qvk_inspect_params *params, qvk__string *text,
                                      qvk_error *err)
{
    qvk__safetensors file;

    QVK__TRY(qvk__safetensors_read(path, &file, err));
    if (params->json)
        qvk__safetensors_print_json(&file, text);
    else
        qvk__safetensors_print(&file, text);
    qvk__safetensors_finish(&file);
    return QVK_OK;
}
#endif

typedef struct format {
    const char *suffix;
    qvk_status (*inspect)(const char *path, const qvk_inspect_params *params, qvk__string *text,
                          qvk_error *err);
} format;

static const format formats[] = {
    {".pte", inspect_pte},
#if QVK__WITH_COMPILER
    {".pt2", inspect_pt2},
    {".safetensors", inspect_safetensors},
#endif
};

qvk_status qvk_inspect_file(const char *path, const qvk_inspect_params *params, char **out, qvk_error *err)
{
    static const qvk_inspect_params defaults = {0};
    const format *found = NULL;
    qvk__string text = {0};
    qvk_status status;

    QVK__CHECK(path && out, err, QVK_INVALID_ARGUMENT, "path and out must not be NULL");
    for (size_t i = 0; i < QVK__COUNT(formats) && !found; i++)
        if (qvk__ends_with(path, formats[i].suffix))
            found = &formats[i];
    QVK__CHECK(found, err, QVK_UNSUPPORTED, "%s: its ending names no format that this build can inspect",
               path);
    status = found->inspect(path, params ? params : &defaults, &text, err);
    if (status == QVK_OK && (text.failed || !text.data))
        status = qvk__fail(err, QVK_OUT_OF_MEMORY, "%s: out of memory", path);
    if (status != QVK_OK) {
        free(text.data);
        return status;
    }
    *out = text.data;
    return QVK_OK;
}

void qvk_text_free(char **text)
{
    if (!text)
        return;
    free(*text);
    *text = NULL;
}
