"""The same for the services beside EC2 that the agent calls: STS and ARC."""

from contract.oracles.examples import Example

ROLE = "arn:aws:iam::123456789012:role/xaccounts3access"
WEB_ROLE = "arn:aws:iam::123456789012:role/FederatedWebIdentityRole"
POLICIES = [f"arn:aws:iam::123456789012:policy/webidentitydemopolicy{n}" for n in (1, 2)]
KEY = {
    "AccessKeyId": "ASIAJEXAMPLEXEG2JICEA",
    "SecretAccessKey": "9drTJvcXLB89EXAMPLELB8923FB892xMFI",
    "SessionToken": "AQoXdzELDDY//////////wEaoAK1wvxJY12r2IrDFT2IvAzTCn3zHoZ7YNtpiQLF0MqZye",
}
CLUSTER = "arn:aws:eks:us-east-1:123456789012:cluster/telco"

EXAMPLES = (
    Example(
        service="sts",
        operation="AssumeRole",
        source="aws-cli, number 1",
        asks={"RoleArn": ROLE, "RoleSessionName": "s3-access-example"},
        form={"RoleArn": ROLE, "RoleSessionName": "s3-access-example"},
        answers={
            "AssumedRoleUser": {
                "AssumedRoleId": "AROA3XFRBF535PLBIFPI4:s3-access-example",
                "Arn": "arn:aws:sts::123456789012:assumed-role/xaccounts3access/s3-access-example",
            },
            "Credentials": {**KEY, "Expiration": "2016-03-15T00:05:07Z"},
        },
    ),
    Example(
        service="sts",
        operation="AssumeRoleWithWebIdentity",
        source="aws-cli, number 1",
        asks={
            "DurationSeconds": 3600,
            "RoleSessionName": "app1",
            "ProviderId": "www.amazon.com",
            "PolicyArns": [{"arn": arn} for arn in POLICIES],
            "RoleArn": WEB_ROLE,
            "WebIdentityToken": "Atza%7CIQEBLjAsAhRF",
        },
        form={
            "DurationSeconds": "3600",
            "RoleSessionName": "app1",
            "ProviderId": "www.amazon.com",
            "PolicyArns.member.1.arn": POLICIES[0],
            "PolicyArns.member.2.arn": POLICIES[1],
            "RoleArn": WEB_ROLE,
            "WebIdentityToken": "Atza%7CIQEBLjAsAhRF",
        },
        answers={
            "SubjectFromWebIdentityToken": "amzn1.account.AF6RHO7KZU5XRVQJGXK6HB56KR2A",
            "Audience": "client.5498841531868486423.1548@apps.example.com",
            "AssumedRoleUser": {
                "Arn": "arn:aws:sts::123456789012:assumed-role/FederatedWebIdentityRole/app1",
                "AssumedRoleId": "AROACLKWSDQRAOEXAMPLE:app1",
            },
            "Credentials": {**KEY, "Expiration": "2020-05-19T18:06:10+00:00"},
            "Provider": "www.amazon.com",
        },
    ),
    Example(
        # Neither aws-cli nor botocore has an example of ARC: the model's fields, values of ours.
        service="arc-zonal-shift",
        operation="GetManagedResource",
        source="botocore, the model",
        asks={"resourceIdentifier": CLUSTER},
        answers={
            "arn": CLUSTER,
            "name": "telco",
            "appliedWeights": {"use1-az1": 0.0},
            "zonalShifts": [
                {
                    "appliedStatus": "APPLIED",
                    "zonalShiftId": "00000000-0000-0000-0000-000000000000",
                    "resourceIdentifier": CLUSTER,
                    "awayFrom": "use1-az1",
                    "expiryTime": 1795996800,
                    "startTime": 1764547200,
                    "comment": "a text",
                    "shiftType": "ZONAL_SHIFT",
                }
            ],
            "autoshifts": [
                {"appliedStatus": "NOT_APPLIED", "awayFrom": "use1-az2", "startTime": 1764547200}
            ],
            "zonalAutoshiftStatus": "ENABLED",
        },
    ),
)
