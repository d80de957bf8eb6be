-- How each product that was ever ordered sells.
INSERT INTO lake.gold.product_performance
SELECT
  p.product_id,
  p.name,
  p.category,
  COUNT(*) AS orders,
  COUNT(DISTINCT o.customer_id) AS customers,
  SUM(o.quantity) AS items,
  CAST(SUM(o.amount) AS DECIMAL(18, 2)) AS revenue
FROM lake.silver.orders AS o
JOIN lake.silver.products AS p ON p.product_id = o.product_id
GROUP BY p.product_id, p.name, p.category
