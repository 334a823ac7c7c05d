/*
 * embed_spirv OUT.c ID=FILE.spv ...
 * Writes the modules as C arrays and the table src/kernels/spirv.h declares. "ID=" alone makes an empty
 * entry: a variant this build's glslang could not compile. Runs on the build machine only.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPIRV_MAGIC 0x07230203u

/* One argument, taken apart. */
typedef struct module {
    int id_length;
    const char *id;
    const char *path; /* "": left out */
    size_t n_words;
} module;

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "embed_spirv: %s: %s\n", path, what);
    exit(1);
}

static size_t write_words(FILE *out, const module *entry)
{
    FILE *in = fopen(entry->path, "rb");
    if (in == NULL)
        fail("cannot be opened", entry->path);
    fprintf(out, "static const uint32_t words_%.*s[] = {", entry->id_length, entry->id);
    size_t n_words = 0;
    uint8_t bytes[4];
    size_t got;
    while ((got = fread(bytes, 1, 4, in)) == 4) {
        const uint32_t word = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                              (uint32_t)bytes[3] << 24;
        if (n_words == 0 && word != SPIRV_MAGIC)
            fail("is not little-endian SPIR-V", entry->path);
        fprintf(out, n_words % 16 == 0 ? "\n%uu," : "%uu,", (unsigned)word);
        n_words++;
    }
    if (got != 0 || n_words == 0 || ferror(in))
        fail("is empty or cut short", entry->path);
    fclose(in);
    fprintf(out, "\n};\n");
    return n_words;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: embed_spirv OUT.c ID=FILE.spv ...\n");
        return 2;
    }
    FILE *out = fopen(argv[1], "w");
    module *modules = calloc((size_t)argc, sizeof(*modules));
    if (out == NULL || modules == NULL)
        fail("cannot be written", argv[1]);
    fprintf(out, "/* Made by tools/embed_spirv.c from shaders/kernels.def. */\n#include "
                 "\"kernels/kernels.h\"\n#include \"kernels/spirv.h\"\n\n");
    for (int i = 2; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        if (equals == NULL)
            fail("is not ID=FILE", argv[i]);
        module *entry = &modules[i];
        *entry = (module){.id_length = (int)(equals - argv[i]), .id = argv[i], .path = equals + 1};
        if (*entry->path != '\0')
            entry->n_words = write_words(out, entry);
    }
    fprintf(out, "\nconst qvk__spirv qvk__spirv_table[] = {\n");
    for (int i = 2; i < argc; i++) {
        const module *entry = &modules[i];
        fprintf(out, "    [QVK__KERNEL_%.*s] = {\"", entry->id_length, entry->id);
        for (int j = 0; j < entry->id_length; j++)
            fputc(tolower((unsigned char)entry->id[j]), out);
        if (entry->n_words > 0)
            fprintf(out, "\", words_%.*s, %zu},\n", entry->id_length, entry->id, entry->n_words);
        else
            fprintf(out, "\", NULL, 0},\n");
    }
    fprintf(out, "};\n");
    const int failed = ferror(out);
    if (fclose(out) != 0 || failed)
        fail("cannot be written", argv[1]);
    free(modules);
    return 0;
}
