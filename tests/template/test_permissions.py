"""What each role may do: exactly what its function does."""

import unittest

from combinations import SECRET_ARN
from stack import Stack, references


class Permissions(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = Stack()

    def test_each_role_may_do_exactly_what_its_function_does(self) -> None:
        every = {"logs:CreateLogStream", "logs:PutLogEvents", "elasticache:Connect"}
        network = {action for action in self.stack.actions("RecordVisitRole") if action.startswith("ec2:")}
        for role, more in [
            ("RecordVisitRole", set()),
            ("GetVisitsRole", set()),
            ("DashboardRole", {"secretsmanager:GetSecretValue"}),
            ("FlushVisitsRole", {"lambda:InvokeFunction", "sqs:SendMessage"}),
        ]:
            self.assertEqual(every | network | more, self.stack.actions(role), role)
        self.assertEqual({"lambda:InvokeFunction", "sqs:SendMessage"}, self.stack.actions("ScheduleRole"))

    def test_nothing_is_allowed_on_everything_but_what_knows_no_resources(self) -> None:
        for stack in (self.stack, Stack(Tracing="on", Redis="valkey-nodes", Encryption="own-key")):
            for role in stack.of_type("AWS::IAM::Role"):
                for statement in stack.statements(role):
                    actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
                    if statement["Effect"] == "Allow" and statement["Resource"] == "*":
                        self.assertTrue(all(action.startswith(("ec2:", "xray:")) for action in actions), role)
                    if statement["Effect"] == "Allow":
                        self.assertFalse([action for action in actions if "*" in action], role)

    def test_the_functions_own_code_may_not_use_what_puts_them_into_the_network(self) -> None:
        statements = self.stack.statements("RecordVisitRole")
        (denied,) = [statement for statement in statements if statement["Effect"] == "Deny"]
        self.assertEqual("ec2:*", denied["Action"])
        condition = denied["Condition"]["ArnLike"]["lambda:SourceFunctionArn"]
        self.assertEqual("arn:aws:lambda:us-east-1:123456789012:function:counter-*", condition)

    def test_get_visits_may_log_in_to_redis_as_the_reader_alone_and_the_others_as_the_other(self) -> None:
        for stack in (self.stack, Stack(Redis="valkey-nodes"), Stack(ManagedInstances="on")):
            caches = {"ServerlessRedis", "RedisA", "RedisB"}
            for role, user in [
                ("RecordVisitRole", "RedisUser"),
                ("GetVisitsRole", "RedisReader"),
                ("DashboardRole", "RedisUser"),
                ("FlushVisitsRole", "RedisUser"),
            ]:
                (allowed,) = [s["Resource"] for s in stack.statements(role) if s["Action"] == "elasticache:Connect"]
                self.assertEqual({user}, set().union(*map(references, allowed)) - caches, role)

    def test_flush_visits_may_invoke_record_visit_and_nothing_else(self) -> None:
        for stack, name in ((self.stack, "RecordVisit"), (Stack(ManagedInstances="on"), "RecordVisitManaged")):
            self.assertEqual({"Ref": name}, stack.environment("FlushVisits")["VISITS_RECORD_FUNCTION"])
            allowed = [
                s["Resource"] for s in stack.statements("FlushVisitsRole") if s["Action"] == "lambda:InvokeFunction"
            ]
            self.assertEqual([{"Fn::GetAtt": [name, "Arn"]}], allowed)

    def test_the_owners_own_secret_is_what_may_be_read(self) -> None:
        for allowed, stack in [
            ({"Ref": "OwnerToken"}, self.stack),
            (SECRET_ARN, Stack(VisitsOwnerToken=f"secret:{SECRET_ARN}", OwnerTokenSecretArn=SECRET_ARN)),
        ]:
            found = [
                s["Resource"]
                for s in stack.statements("DashboardRole")
                if s["Action"] == "secretsmanager:GetSecretValue"
            ]
            self.assertEqual([allowed], found)
        self.assertNotIn("OwnerToken", Stack(VisitsOwnerToken="off").resources)
