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
void describe_cluster_role(DescribeWriter& out, Api& api, const Json& role);
void describe_cron_job(DescribeWriter& out, Api& api, const Json& cron_job);
void describe_certificate_request(DescribeWriter& out, Api& api, const Json& request);
void describe_disruption_budget(DescribeWriter& out, Api& api, const Json& budget);
void describe_endpoint_slice(DescribeWriter& out, Api& api, const Json& slice);
void describe_endpoints(DescribeWriter& out, Api& api, const Json& endpoints);
void describe_ingress(DescribeWriter& out, Api& api, const Json& ingress);
void describe_ingress_class(DescribeWriter& out, Api& api, const Json& ingress_class);
void describe_job(DescribeWriter& out, Api& api, const Json& job);
void describe_limit_range(DescribeWriter& out, Api& api, const Json& limits);
void describe_network_policy(DescribeWriter& out, Api& api, const Json& policy);
void describe_persistent_volume(DescribeWriter& out, Api& api, const Json& volume);
void describe_persistent_volume_claim(DescribeWriter& out, Api& api, const Json& claim);
void describe_priority_class(DescribeWriter& out, Api& api, const Json& priority_class);
void describe_replication_controller(DescribeWriter& out, Api& api, const Json& controller);
void describe_resource_quota(DescribeWriter& out, Api& api, const Json& quota);
void describe_role_binding(DescribeWriter& out, Api& api, const Json& binding);
void describe_storage_class(DescribeWriter& out, Api& api, const Json& storage_class);
// Quotas and limits of a namespace, as its own description shows them.
void write_quotas_of(DescribeWriter& out, Api& api, const std::string& ns);
// "10.0.0.1:80,10.0.0.2:80 + 2 more..." of a Service's ready endpoints for a port's name.
std::string service_endpoints(Api& api, const Json& service, const std::string& port_name);
// Any kind: its members as they are, names spelled out.
void describe_anything(DescribeWriter& out, Api& api, const Json& object);

}  // namespace moth::ctl
