#pragma once
// CustomResourceDefinition: accepts names, puts the rows of a definition into the registry (from
// then on they are served and discovered), and when a definition is deleted, deletes its objects
// first. Control thread.
#include <cstdint>
#include <functional>
#include <memory>

#include "api/resources/registry.h"
#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

// The store's revision now: what was written before may have been written under another schema.
using RevisionSource = std::function<std::uint64_t()>;

// `registry` outlives the controller. `background` is for what takes long: large definitions are
// parsed and made ready there. Without one that is done right here.
std::unique_ptr<Controller> make_customresourcedefinition_controller(
    ControllerContext context, resources::Registry& registry, RevisionSource revision,
    asio::any_io_executor background = {});

// At start, before anything is served: the rows of every definition that was established. One that
// cannot be served any more is logged and left out.
void serve_definitions(const client::ObjectReader& reader, resources::Registry& registry,
                       std::uint64_t revision);

}  // namespace moth::controllers
