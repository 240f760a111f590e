#include "daemon/node_stack.h"

namespace moth {

Result<std::unique_ptr<NodeStack>> make_node_stack(const Config&, Executors&, Clock&,
                                                   metrics::Registry&) {
  return fail(Error::unavailable(
      "the node agent is not part of this build yet: start with --without-node"));
}

}  // namespace moth
