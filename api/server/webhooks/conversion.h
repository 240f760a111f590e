#pragma once
// Conversion of custom resources by the webhook of their definition (ConversionReview). What the
// webhook may not change (names, uid, all metadata but labels and annotations) is taken from the
// original.
#include <functional>
#include <memory>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/task.h"
#include "api/machinery/names.h"
#include "api/resources/registry.h"
#include "api/server/storage.h"

namespace moth::server {

// The objects in the version of `to`, in their order; those that are in it already stay as they
// are. InternalError with upstream's text when the webhook fails. Control; `to` is kept valid by
// the caller.
using ConvertObjects = std::function<Task<Result<std::vector<Json>>>(
    const resources::ResourceDef& to, std::vector<Json> objects)>;

// The references outlive it.
ConvertObjects make_converter(asio::any_io_executor io, asio::any_io_executor blocking,
                              Storage& storage, const resources::Registry& registry,
                              RandomSource random);

// The body of a review. `api_version`: of the review.
Json conversion_review(const std::string& api_version, const std::string& uid,
                       const std::string& desired, const std::vector<Json>& objects);
// What an answer holds for `objects`, in the version `desired`; else what is wrong with it, in
// upstream's words.
Result<std::vector<Json>> read_conversion(const std::string& answer, const std::string& uid,
                                          const std::string& desired,
                                          const std::vector<Json>& objects);

}  // namespace moth::server
