#include "kernels/kernels.h"
#include "kernels/spirv.h"
#include "support/support.h"

#define SPIRV_MAGIC        0x07230203u
#define SPIRV_HEADER_WORDS 5

typedef struct row {
    const char *id;
    const char *caps;
} row;

static const row rows[] = {
#define KERNEL(id, source, defines, n_buffers, caps, target_env) {#id, #caps},
#include "kernels.def"
#undef KERNEL
};

static void every_kernel_is_embedded(void **state)
{
    (void)state;
    for (int i = 0; i < QVK__KERNEL_COUNT; i++) {
        const qvk__spirv *spirv = &qvk__spirv_table[i];
        if (spirv->words == NULL) {
            /* Only what an old glslang cannot read may be left out. */
            if (strstr(rows[i].caps, "QVK__CAP_COOPMAT") == NULL)
                fail_msg("%s has no SPIR-V", rows[i].id);
            assert_int_equal(spirv->n_words, 0);
            continue;
        }
        assert_true(spirv->n_words > SPIRV_HEADER_WORDS);
        assert_int_equal(spirv->words[0], SPIRV_MAGIC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_is_embedded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
