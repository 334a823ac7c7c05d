/* Reading exported programs: which archive it is, and the order of its parts. */
#include <stdio.h>

#include "pt2/pt2_reader.h"

enum { SCHEMA_MAJOR = 8 };

static bool entry_is(qvk__zip *zip, const char *name, const char *text)
{
    const uint8_t *data;
    uint64_t bytes;

    if (qvk__zip_get(zip, name, &data, &bytes, NULL) != QVK_OK)
        return false;
    while (bytes > 0 && (data[bytes - 1] == '\n' || data[bytes - 1] == '\r'))
        bytes--;
    return bytes == strlen(text) && memcmp(data, text, (size_t)bytes) == 0;
}

/* "model" of models/model.json: the one called so, else the only one. In the scratch arena. */
static qvk_status find_model(qvk__pt2_reader *reader, const char **out, qvk_error *err)
{
    const qvk__zip *zip = &reader->zip;
    qvk__string names = {0};
    const char *found = NULL;
    qvk_status status = QVK_OK;
    size_t count = 0;

    for (size_t i = 0; i < zip->entries.count; i++) {
        const char *name = zip->entries.data[i].name + strlen(zip->root), *end;
        if (!qvk__starts_with(name, "models/") || !qvk__ends_with(name, ".json"))
            continue;
        name += strlen("models/");
        end = name + strlen(name) - strlen(".json");
        found = qvk__arena_strndup(&reader->scratch, name, (size_t)(end - name));
        QVK__CHECK_GO(found, err, QVK_OUT_OF_MEMORY, "out of memory");
        qvk__string_addf(&names, "%s%s", count ? ", " : "", found);
        count++;
        if (strcmp(found, "model") == 0) {
            count = 1;
            break;
        }
    }
    QVK__CHECK_GO(count > 0, err, QVK_BAD_FORMAT, "%s: the archive holds no exported program (models/*.json)",
                  reader->source);
    QVK__CHECK_GO(count == 1, err, QVK_UNSUPPORTED,
                  "%s: several programs (%s), none of them called \"model\"", reader->source, names.data);
    *out = found;
done:
    free(names.data);
    return status;
}

static qvk_status check_schema(const qvk__json *document, qvk_error *err)
{
    qvk__json version;
    int64_t major, minor;

    QVK__TRY(qvk__json_get(document, "schema_version", &version, err));
    QVK__TRY(qvk__json_get_int(&version, "major", &major, err));
    QVK__TRY(qvk__json_get_int(&version, "minor", &minor, err));
    if (major < 1 || major > SCHEMA_MAJOR)
        return qvk__json_fail(&version, err, QVK_BAD_VERSION,
                              "schema %lld.%lld; this reads up to %d.x (torch 2.13)", (long long)major,
                              (long long)minor, SCHEMA_MAJOR);
    return QVK_OK;
}

static qvk_status read_document(qvk__pt2_reader *reader, const char *entry, qvk_error *err)
{
    const uint8_t *text;
    qvk__json document;
    qvk_status status;
    uint64_t bytes;

    QVK__TRY(qvk__zip_get(&reader->zip, entry, &text, &bytes, err));
    QVK__TRY(qvk__json_parse(text, bytes, entry, &document, err));
    QVK__TRY_GO(check_schema(&document, err));
    QVK__TRY_GO(qvk__pt2_read_program(reader, &document, err));
done:
    qvk__json_finish(&document);
    return status;
}

/* Samples are a convenience: objects we do not read there do not spoil the program. */
static qvk_status read_samples(qvk__pt2_reader *reader, const char *entry, qvk_error *err)
{
    qvk_error failure;
    qvk_status status = qvk__pt2_read_samples(reader, entry, &failure);

    if (status == QVK_OK || status == QVK_UNSUPPORTED)
        return QVK_OK;
    if (err)
        *err = failure;
    return status;
}

static qvk_status read_current(qvk__pt2_reader *reader, qvk_error *err)
{
    const char *model = NULL, *document, *samples;

    QVK__CHECK(entry_is(&reader->zip, "archive_version", "0"), err, QVK_BAD_VERSION,
               "%s: archive_version is not 0", reader->source);
    QVK__TRY(find_model(reader, &model, err));
    document = qvk__arena_printf(&reader->scratch, "models/%s.json", model);
    samples = qvk__arena_printf(&reader->scratch, "data/sample_inputs/%s.pt", model);
    QVK__CHECK(document && samples, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(qvk__pt2_read_payloads(reader, model, err));
    QVK__TRY(read_document(reader, document, err));
    return read_samples(reader, samples, err);
}

/* torch 2.1 to 2.7: the parts lie at the top of the archive, each dict of tensors as one torch.save file. In
 * the oldest those are called .json. */
static qvk_status read_legacy(qvk__pt2_reader *reader, qvk_error *err)
{
    static const char *const dicts[][2] = {{"serialized_state_dict.pt", "serialized_state_dict.json"},
                                           {"serialized_constants.pt", "serialized_constants.json"}};

    for (size_t i = 0; i < QVK__COUNT(dicts); i++) {
        const char *name = dicts[i][qvk__zip_find(&reader->zip, dicts[i][0]) ? 0 : 1];
        const qvk__zip_entry *entry = qvk__zip_find(&reader->zip, name);
        if (entry && entry->bytes > 0)
            QVK__TRY(qvk__pt2_read_saved_dict(reader, name, err));
    }
    QVK__TRY(read_document(reader, "serialized_exported_program.json", err));
    return read_samples(reader, "serialized_example_inputs.pt", err);
}

static qvk_status read_archive(qvk__pt2_reader *reader, qvk_error *err)
{
    if (qvk__zip_find(&reader->zip, "archive_format")) {
        QVK__CHECK(entry_is(&reader->zip, "archive_format", "pt2"), err, QVK_BAD_FORMAT,
                   "%s: archive_format is not pt2", reader->source);
        return read_current(reader, err);
    }
    if (qvk__zip_find(&reader->zip, "serialized_exported_program.json"))
        return read_legacy(reader, err);
    return qvk__fail(err, QVK_BAD_FORMAT,
                     "%s: a zip archive, but no exported program (torch.export.save writes those; "
                     "torch.save and torch.jit.save do not)",
                     reader->source);
}

/* ---- numbers that only the dropped guards needed -------------------------------------------------------- */

static void count_use(int32_t value, void *user)
{
    int32_t *counts = user;
    counts[value]++;
}

static void uncount_use(int32_t value, void *user)
{
    int32_t *counts = user;
    counts[value]--;
}

static bool is_idle(const qvk__graph *graph, const qvk__node *node, const int32_t *counts)
{
    for (int i = 0; i < node->n_outs; i++)
        if (node->outs[i] < 0 || counts[node->outs[i]] > 0 ||
            graph->values.data[node->outs[i]].kind != QVK__VALUE_SYMBOL)
            return false;
    return node->n_outs > 0;
}

static qvk_status drop_idle_symbols(qvk__graph *graph, qvk_error *err)
{
    int32_t *counts = qvk__alloc_zeroed(graph->values.count, sizeof *counts);

    QVK__CHECK(counts, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < graph->outputs.count; i++)
        counts[graph->outputs.data[i]]++;
    for (size_t n = 0; n < graph->nodes.count; n++)
        qvk__node_visit_args(&graph->nodes.data[n], count_use, counts);
    for (size_t n = graph->nodes.count; n-- > 0;) {
        qvk__node *node = &graph->nodes.data[n];
        if (!is_idle(graph, node, counts))
            continue;
        node->dead = true;
        qvk__node_visit_args(node, uncount_use, counts);
    }
    qvk__graph_compact(graph);
    free(counts);
    return QVK_OK;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

static void close_reader(qvk__pt2_reader *reader)
{
    qvk__zip_close(&reader->zip);
    qvk__arena_free(&reader->scratch);
    free(reader->payloads.data);
    free(reader->constants.data);
    free(reader->copies.data);
    qvk__map_free(&reader->payload_index);
    qvk__map_free(&reader->view_index);
    qvk__map_free(&reader->names);
}

/* Puts the file's name in front where the message does not have it yet. */
static qvk_status name_file(const char *path, qvk_status status, qvk_error *err)
{
    if (status != QVK_OK && err && !qvk__starts_with(err->message, path))
        qvk__error_context(err, status, "%s", path);
    return status;
}

/* Into an initialised program. */
static qvk_status read_program(const uint8_t *data, uint64_t bytes, const char *name, qvk__exported *program,
                               qvk_error *err)
{
    qvk__pt2_reader reader = {.program = program, .source = name};
    qvk_status status;

    program->source = qvk__arena_strdup(&program->graph.arena, name);
    QVK__CHECK_GO(program->source, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(qvk__zip_open(data, bytes, name, &program->graph.arena, &reader.zip, err));
    QVK__TRY_GO(read_archive(&reader, err));
    QVK__TRY_GO(drop_idle_symbols(&program->graph, err));
    QVK__CHECK_GO(qvk__exported_mark_mutable(program), err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(qvk__exported_verify(program, err));
done:
    close_reader(&reader);
    return name_file(name, status, err);
}

qvk_status qvk__pt2_read_bytes(const uint8_t *data, uint64_t bytes, const char *name, qvk__exported *out,
                               qvk_error *err)
{
    qvk__exported program;
    qvk_status status;

    qvk__exported_init(&program);
    status = read_program(data, bytes, name, &program, err);
    if (status == QVK_OK)
        *out = program;
    else
        qvk__exported_finish(&program);
    return status;
}

qvk_status qvk__pt2_read(const char *path, qvk__exported *out, qvk_error *err)
{
    qvk__file file;
    qvk__exported program;
    qvk_status status;

    QVK__TRY(qvk__file_map(path, &file, err));
    qvk__exported_init(&program);
    program.file = file;
    status = read_program(file.data, file.bytes, path, &program, err);
    if (status == QVK_OK)
        *out = program;
    else
        qvk__exported_finish(&program);
    return status;
}
