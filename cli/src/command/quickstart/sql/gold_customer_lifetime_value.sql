-- What each customer has bought so far.
INSERT INTO lake.gold.customer_lifetime_value
SELECT
  c.customer_id,
  c.name,
  c.country,
  COUNT(*) AS orders,
  SUM(o.quantity) AS items,
  CAST(SUM(o.amount) AS DECIMAL(18, 2)) AS revenue,
  MIN(o.order_date) AS first_order,
  MAX(o.order_date) AS last_order
FROM lake.silver.orders AS o
JOIN lake.silver.customers AS c ON c.customer_id = o.customer_id
GROUP BY c.customer_id, c.name, c.country
