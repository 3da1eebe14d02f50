-- Which topic causes which part of its cluster's bill: a projection of its own beside the chargebacks, with an age of its
-- own at which rows are deleted (`topic_attribution.retention_days`). Deleting by tenant and day uses the index, and a
-- month that nobody keeps any more is a partition to drop.

INSERT INTO projections (projection) VALUES ('topic-attributions');

CREATE TABLE topic_attribution_facts (
    tenant_key          int  NOT NULL,
    day                 date NOT NULL,
    revision            int  NOT NULL,
    ecosystem           text NOT NULL,
    env_id              text NOT NULL,
    cluster_resource_id text NOT NULL,
    topic_name          text NOT NULL,
    product_category    text NOT NULL,
    product_type        text NOT NULL,
    attribution_method  text NOT NULL,
    amount              numeric(28, 14) NOT NULL,
    currency            text NOT NULL,
    share               double precision NOT NULL,
    usage               double precision
) PARTITION BY RANGE (day);
CREATE INDEX ON topic_attribution_facts (tenant_key, day);

CREATE VIEW topic_attributions AS
SELECT t.tenant_id, f.ecosystem, f.day, f.revision, f.env_id, f.cluster_resource_id, f.topic_name, f.product_category,
       f.product_type, f.attribution_method, f.amount, f.currency, f.share, f.usage
FROM topic_attribution_facts f
JOIN slices s ON s.projection = 'topic-attributions' AND s.tenant_key = f.tenant_key AND s.day = f.day
             AND s.revision = f.revision AND s.complete
JOIN tenants t ON t.tenant_key = f.tenant_key;

-- The newest whole revision of topic rows beside those of the other tables.
CREATE VIEW day_topic_attributions AS
SELECT t.tenant_id, s.day, s.revision AS topic_attributions_revision, s.expected AS topic_rows
FROM slices s
JOIN tenants t ON t.tenant_key = s.tenant_key
WHERE s.projection = 'topic-attributions' AND s.complete;

SELECT isolate('topic_attribution_facts'), isolate('topic_attributions'), isolate('day_topic_attributions');
