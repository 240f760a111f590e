#pragma once
// One describer a kind. Each writes all but the events; what it needs besides the object it asks
// the server for, and leaves out what does not come.
#include "api/base/json.h"
#include "ctl/cli/api.h"
#include "ctl/describe/writer.h"

namespace moth::ctl {

void describe_pod(DescribeWriter& out, Api& api, const Json& pod);
void describe_deployment(DescribeWriter& out, Api& api, const Json& deployment);
void describe_replica_set(DescribeWriter& out, Api& api, const Json& replica_set);
void describe_stateful_set(DescribeWriter& out, Api& api, const Json& stateful_set);
void describe_daemon_set(DescribeWriter& out, Api& api, const Json& daemon_set);
void describe_service(DescribeWriter& out, Api& api, const Json& service);
void describe_node(DescribeWriter& out, Api& api, const Json& node);
void describe_autoscaler(DescribeWriter& out, Api& api, const Json& autoscaler);
void describe_config_map(DescribeWriter& out, Api& api, const Json& map);
void describe_secret(DescribeWriter& out, Api& api, const Json& secret);
void describe_namespace(DescribeWriter& out, Api& api, const Json& ns);
void describe_service_account(DescribeWriter& out, Api& api, const Json& account);
// Any kind: its members as they are, names spelled out.
void describe_anything(DescribeWriter& out, Api& api, const Json& object);

}  // namespace moth::ctl
