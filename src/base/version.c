#include "qvk/version.h"

const char *qvk_version(void)
{
    return QVK_VERSION_STRING;
}

bool qvk_has_compiler(void)
{
    return QVK__WITH_COMPILER;
}
