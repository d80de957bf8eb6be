-- Sales by the day on which the orders were placed, late ones included.
INSERT INTO lake.gold.daily_sales
SELECT
  order_date,
  COUNT(*) AS orders,
  COUNT(DISTINCT customer_id) AS customers,
  SUM(quantity) AS items,
  CAST(SUM(amount) AS DECIMAL(18, 2)) AS revenue
FROM lake.silver.orders
GROUP BY order_date
