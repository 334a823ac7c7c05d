// The BackendInterface that ExecuTorch calls: its values go to qvk's C API and back. No computation happens
// here.
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/core/exec_aten/util/tensor_util.h>
#include <executorch/runtime/core/named_data_map.h>

#include "qvk/delegate.h"
#include "qvk/executorch.h"
#include "values.h"

namespace
{

namespace et = ::executorch::runtime;

// ---- the device all delegates share ------------------------------------------------------------------------

struct Settings {
    std::string device, disable, cache_dir;
    qvk_context_params params{};
};

struct Device {
    std::mutex mutex;
    qvk_context *context = nullptr; // created by the first program
    Settings settings;
    bool configured = false;
};

Device &shared_device()
{
    static Device *device = new Device; // never destroyed: programs may outlive static destruction
    return *device;
}

// ---- the log --------------------------------------------------------------------------------------------------

// ExecuTorch's Python bindings take Python's lock to log. A message may come from one of qvk's own threads,
// or under one of its locks, while the caller waits with Python's lock held: so messages are kept until the
// call is over.
struct Log {
    std::mutex mutex;
    std::vector<std::pair<qvk_log_level, std::string>> lines;
};

Log &pending_log()
{
    static Log *log = new Log; // as long as the device
    return *log;
}

void log_message(void *, qvk_log_level level, const char *message)
{
    Log &log = pending_log();
    std::lock_guard<std::mutex> lock(log.mutex);
    log.lines.emplace_back(level, message);
}

// QVK_LOG=1: what qvk does, and which operators run on the CPU, not only what went wrong.
bool is_verbose()
{
    static const char *value = std::getenv("QVK_LOG");
    return value && *value && std::strcmp(value, "0") != 0;
}

// Declared first in a call, so that it writes the messages when every lock is free again.
struct LogAtEnd {
    ~LogAtEnd()
    {
        std::vector<std::pair<qvk_log_level, std::string>> lines;
        {
            Log &log = pending_log();
            std::lock_guard<std::mutex> lock(log.mutex);
            lines.swap(log.lines);
        }
        for (const auto &line : lines)
            if (line.first == QVK_LOG_ERROR)
                ET_LOG(Error, "qvk: %s", line.second.c_str());
            else if (is_verbose())
                ET_LOG(Info, "qvk: %s", line.second.c_str());
    }
};

et::Error fail(const qvk_error &err, const char *when)
{
    log_message(nullptr, QVK_LOG_ERROR, (std::string(when) + ": " + err.message).c_str());
    return qvk_to_executorch(err.status);
}

// ---- opening the device ---------------------------------------------------------------------------------------

const char *or_null(const std::string &text)
{
    return text.empty() ? nullptr : text.c_str();
}

void read_environment(Settings &settings)
{
    const auto get = [](const char *name) {
        const char *value = std::getenv(name);
        return std::string(value ? value : "");
    };
    settings.device = get("QVK_DEVICE");
    settings.disable = get("QVK_DISABLE");
    settings.cache_dir = get("QVK_CACHE_DIR");
}

// The caller holds the mutex.
qvk_status open_context(Device &device, qvk_error *err)
{
    if (device.context)
        return QVK_OK;
    Settings &s = device.settings;
    if (!device.configured)
        read_environment(s);
    s.params.device = or_null(s.device);
    s.params.disable = or_null(s.disable);
    s.params.cache_dir = or_null(s.cache_dir);
    if (!s.params.log)
        s.params.log = log_message;
    return qvk_context_create(&s.params, &device.context, err);
}

// ---- delegates ------------------------------------------------------------------------------------------------

// A loaded delegate and the named data it has borrowed right now: weights are given back once they are on the
// device, and asked for again where a new input shape or the CPU needs them. The map belongs to the method.
struct Handle {
    qvk_delegate *delegate = nullptr;
    const et::NamedDataMap *named = nullptr;
    std::multimap<const void *, et::FreeableBuffer> buffers; // by their data

    ~Handle()
    {
        qvk_delegate_destroy(&delegate);
    }
};

bool find_data(void *user, const char *key, const void **data, size_t *bytes)
{
    auto *handle = static_cast<Handle *>(user);
    if (!handle->named)
        return false;
    auto found = handle->named->get_data(key);
    if (!found.ok())
        return false;
    *data = found->data();
    *bytes = found->size();
    handle->buffers.emplace(*data, std::move(found.get()));
    return true;
}

// ExecuTorch's outputs are the delegate's last ones: the first may be buffers that it mutates.
et::Error offer_room(const qvk_delegate *delegate, et::EValue *const *args, std::vector<qvk_value> &outputs)
{
    const int32_t n = static_cast<int32_t>(outputs.size());
    const int32_t surplus = qvk_delegate_output_count(delegate) - n;
    qvk_error err;

    for (int32_t i = 0; i < n; i++) {
        qvk_value bound;
        if (qvk_delegate_output_info(delegate, surplus + i, &bound, &err) != QVK_OK)
            return fail(err, "running a delegate");
        ET_CHECK_OK_OR_RETURN_ERROR(room_of(bound, *args[i], &outputs[static_cast<size_t>(i)]));
    }
    return et::Error::Ok;
}

void release_data(void *user, const char *, const void *data)
{
    auto &buffers = static_cast<Handle *>(user)->buffers;
    const auto borrowed = buffers.find(data);
    if (borrowed != buffers.end())
        buffers.erase(borrowed);
}

class VulkanBackend final : public et::BackendInterface
{
  public:
    ~VulkanBackend() override = default;

    bool is_available() const override
    {
        return true;
    }

    et::Result<et::DelegateHandle *> init(et::BackendInitContext &context, et::FreeableBuffer *processed,
                                          et::ArrayRef<et::CompileSpec>) const override
    {
        const LogAtEnd log;
        std::unique_ptr<Handle> handle(new (std::nothrow) Handle);
        qvk_delegate_params params{};
        qvk_error err;

        if (!handle)
            return et::Error::MemoryAllocationFailed;
        handle->named = context.get_named_data_map();
        params.find = find_data;
        params.release = release_data;
        params.find_user = handle.get();
        Device &device = shared_device();
        std::lock_guard<std::mutex> lock(device.mutex);
        if (open_context(device, &err) != QVK_OK)
            return fail(err, "opening the device");
        // The blob stays with ExecuTorch until destroy: weights that it holds inline may be read again.
        if (qvk_delegate_create(device.context, processed->data(), processed->size(), &params,
                                &handle->delegate, &err) != QVK_OK)
            return fail(err, "loading a delegate");
        return handle.release();
    }

    et::Error execute(et::BackendExecutionContext &, et::DelegateHandle *opaque,
                      et::Span<et::EValue *> args) const override
    {
        const LogAtEnd log;
        auto *handle = static_cast<Handle *>(opaque);
        const size_t n_inputs = static_cast<size_t>(qvk_delegate_input_count(handle->delegate));
        qvk_error err;

        if (args.size() < n_inputs) {
            ET_LOG(Error, "qvk: %zu values for a delegate with %zu inputs", args.size(), n_inputs);
            return et::Error::InvalidArgument;
        }
        // Local, not in the handle: a second thread must be able to fail without touching the first one's
        // values.
        std::vector<qvk_value> inputs(n_inputs), outputs(args.size() - n_inputs);
        for (size_t i = 0; i < n_inputs; i++)
            ET_CHECK_OK_OR_RETURN_ERROR(evalue_to_qvk(*args[i], &inputs[i]));
        ET_CHECK_OK_OR_RETURN_ERROR(offer_room(handle->delegate, args.data() + n_inputs, outputs));
        if (qvk_delegate_run(handle->delegate, inputs.data(), static_cast<int32_t>(n_inputs), outputs.data(),
                             static_cast<int32_t>(outputs.size()), &err) != QVK_OK)
            return fail(err, "running a delegate");
        for (size_t i = 0; i < outputs.size(); i++)
            ET_CHECK_OK_OR_RETURN_ERROR(qvk_to_evalue(outputs[i], args[n_inputs + i]));
        return et::Error::Ok;
    }

    void destroy(et::DelegateHandle *opaque) const override
    {
        delete static_cast<Handle *>(opaque);
    }
};

bool register_once()
{
    static VulkanBackend *backend = new VulkanBackend; // ExecuTorch keeps the pointer for ever
    if (et::get_backend_class("VulkanBackend")) {
        ET_LOG(Info, "qvk: a VulkanBackend is registered already; it stays");
        return false;
    }
    return et::register_backend({"VulkanBackend", backend}) == et::Error::Ok;
}

const bool registered = register_once();

} // namespace

extern "C" bool qvk_executorch_is_registered(void)
{
    return registered;
}

extern "C" qvk_status qvk_executorch_configure(const qvk_context_params *params, qvk_error *err)
{
    const LogAtEnd log;
    static const qvk_context_params defaults{};
    const qvk_context_params &given = params ? *params : defaults;
    const auto text = [](const char *value) { return std::string(value ? value : ""); };
    Device &device = shared_device();
    std::lock_guard<std::mutex> lock(device.mutex);
    qvk_context *old = device.context;

    device.context = nullptr;
    device.configured = true;
    device.settings.device = text(given.device);
    device.settings.disable = text(given.disable);
    device.settings.cache_dir = text(given.cache_dir);
    device.settings.params = given;
    const qvk_status status = open_context(device, err);
    if (status != QVK_OK)
        device.context = old; // keep what worked
    else
        qvk_context_destroy(&old); // loaded programs hold it alive
    return status;
}
